// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

const (
	nodeA = "i-00000000000000001"
	nodeB = "i-00000000000000002"
	nodeC = "mi-0000000000000000a"
)

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIDLOCAL", SecretAccessKey: "secret"}, nil
})

// plainBodies hides that the body of a request is an io.WriterTo. The SDK closes the body as soon as the answer begins, and
// its WriteTo then fails with EOF where Read would just end; when the transport has not looked for the end of the body by
// then, it takes that for a failed request and closes the connection under an answer of more than 4 KB.
type plainBodies struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body = struct{ io.ReadCloser }{r.Body}
	return p.RoundTripper.RoundTrip(r)
}

// world is a server on a clock of its own, and a client.
type world struct {
	*WithT
	t      testing.TB
	server *ssmlocal.Server
	client *ssm.Client
	clock  *clocktesting.FakeClock
}

// newWorld starts a server with consistent reads and a stepped clock, unless the options say otherwise.
func newWorld(t testing.TB, change ...func(*ssmlocal.Options)) *world {
	t.Helper()
	clock := clocktesting.NewFakeClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	o := ssmlocal.Options{Clock: clock, ReadLag: new(time.Duration)}
	for _, f := range change {
		f(&o)
	}
	w := &world{WithT: NewWithT(t), t: t, server: ssmlocal.New(o), clock: clock}
	w.Expect(w.server.Start("")).To(Succeed())
	t.Cleanup(func() { w.Expect(w.server.Close()).To(Succeed()) })
	w.client = ssm.New(ssm.Options{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(w.server.URL()),
		Credentials:  credentials,
		HTTPClient:   &http.Client{Transport: plainBodies{http.DefaultTransport}},
		Retryer:      aws.NopRetryer{},
	})
	return w
}

func (w *world) add(id string, runner ssmlocal.Runner, change ...func(*ssmlocal.Instance)) {
	w.t.Helper()
	i := ssmlocal.Instance{ID: id, Runner: runner, Tags: map[string]string{"Role": "web"}}
	for _, f := range change {
		f(&i)
	}
	w.Expect(w.server.AddInstance(i)).To(Succeed())
}

// addMany adds nodes that are all tagged Role=web.
func (w *world) addMany(n int, runner ssmlocal.Runner) {
	w.t.Helper()
	for i := range n {
		w.add(fmt.Sprintf("i-%017x", i+1), runner)
	}
}

// shell is a SendCommand of a script to instances; without any, to Role=web.
func shell(text string, ids ...string) *ssm.SendCommandInput {
	in := &ssm.SendCommandInput{
		DocumentName: aws.String("AWS-RunShellScript"),
		InstanceIds:  ids,
		Parameters:   map[string][]string{"commands": {text}, "executionTimeout": {"60"}},
	}
	if len(ids) == 0 {
		in.Targets = []types.Target{{Key: aws.String("tag:Role"), Values: []string{"web"}}}
	}
	return in
}

func (w *world) send(in *ssm.SendCommandInput) string {
	w.t.Helper()
	out, err := w.client.SendCommand(w.t.Context(), in)
	w.Expect(err).NotTo(HaveOccurred())
	return *out.Command.CommandId
}

func (w *world) get(commandID, instanceID string) *ssm.GetCommandInvocationOutput {
	w.t.Helper()
	out, err := w.client.GetCommandInvocation(w.t.Context(),
		&ssm.GetCommandInvocationInput{CommandId: &commandID, InstanceId: &instanceID})
	w.Expect(err).NotTo(HaveOccurred())
	return out
}

func (w *world) command(commandID string) types.Command {
	w.t.Helper()
	out, err := w.client.ListCommands(w.t.Context(), &ssm.ListCommandsInput{CommandId: &commandID})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(out.Commands).To(HaveLen(1))
	return out.Commands[0]
}

// state is `Status/StatusDetails target completed errors deliveryTimedOut` of a command.
func (w *world) state(commandID string) string {
	w.t.Helper()
	c := w.command(commandID)
	return fmt.Sprintf("%s/%s %d %d %d %d", c.Status, *c.StatusDetails,
		c.TargetCount, c.CompletedCount, c.ErrorCount, c.DeliveryTimedOutCount)
}

// invocation is `Status/StatusDetails ResponseCode` of an invocation.
func (w *world) invocation(commandID, instanceID string) string {
	w.t.Helper()
	out := w.get(commandID, instanceID)
	return fmt.Sprintf("%s/%s %d", out.Status, *out.StatusDetails, out.ResponseCode)
}

// haveCode matches an AWS error by its code and a part of its message.
func haveCode(code, message string) OmegaMatcher {
	return WithTransform(func(err error) string {
		var api smithy.APIError
		if !errors.As(err, &api) {
			return fmt.Sprint(err)
		}
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}, And(HavePrefix(code+": "), ContainSubstring(message)))
}

// outcome is a runner that always ends the same way.
func outcome(o ssmlocal.Outcome) ssmlocal.Scripted {
	return func(ssmlocal.Execution) ssmlocal.Outcome { return o }
}

func exits(code int) ssmlocal.Scripted { return outcome(ssmlocal.Outcome{ExitCode: code}) }

func takes(d time.Duration) ssmlocal.Scripted { return outcome(ssmlocal.Outcome{Delay: d}) }

func times(text string, n int) string { return strings.Repeat(text, n) }
