// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// once lets the first call of an operation go wrong.
func once(operation string, f ssmlocal.Fault) ssmlocal.Faults {
	return func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == operation && c.Number == 1 {
			return f
		}
		return ssmlocal.Fault{}
	}
}

func TestFaultsOfSendCommand(t *testing.T) {
	tests := map[string]struct {
		fault ssmlocal.Fault
		want  OmegaMatcher
		ran   int
	}{
		"error": {
			ssmlocal.Fault{Code: "AccessDeniedException", Message: "User is not authorized"},
			haveCode("AccessDeniedException", "not authorized"), 0,
		},
		"server error": {
			ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: 500},
			WithTransform(func(err error) int {
				var response *awshttp.ResponseError
				if !errors.As(err, &response) {
					return 0
				}
				return response.HTTPStatusCode()
			}, Equal(500)), 0,
		},
		"dropped before":     {ssmlocal.Fault{DropBefore: true}, MatchError(io.EOF), 0},
		"dropped after":      {ssmlocal.Fault{DropAfter: true}, MatchError(io.EOF), 1},
		"nothing goes wrong": {ssmlocal.Fault{}, BeNil(), 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add(nodeA, exits(0))
			w.server.SetFaults(once("SendCommand", tt.fault))
			_, err := w.client.SendCommand(t.Context(), shell("true", nodeA))
			w.Expect(err).To(tt.want)
			w.Expect(w.server.Ledger()).To(HaveLen(tt.ran))
			w.send(shell("true", nodeA))
			w.Expect(w.server.Ledger()).To(HaveLen(tt.ran+1), "only the first call goes wrong")
		})
	}
}

// The trap that makes sends unsafe to retry: the SDK's own retries run a command twice.
func TestRetryAfterALostAnswerRunsTwice(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	w.server.SetFaults(once("SendCommand", ssmlocal.Fault{DropAfter: true}))
	_, err := w.client.SendCommand(t.Context(), shell("true", nodeA), func(o *ssm.Options) { o.Retryer = retry.NewStandard() })
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.server.Ledger()).To(HaveLen(2))
}

func TestFaultSeesTheCall(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	var calls []ssmlocal.Call
	w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		calls = append(calls, c)
		return ssmlocal.Fault{}
	})
	in := shell("true", nodeA)
	in.Comment = aws.String("uid/Run")
	id := w.send(in)
	w.get(id, nodeA)
	w.Expect(calls).To(Equal([]ssmlocal.Call{
		{Operation: "SendCommand", Number: 1, InstanceIDs: []string{nodeA}, Comment: "uid/Run"},
		{Operation: "GetCommandInvocation", Number: 1, CommandID: id, InstanceID: nodeA},
	}))
	w.server.SetFaults(nil)
	w.get(id, nodeA)
	w.Expect(calls).To(HaveLen(2))
}

func TestDelayedAnswer(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	w.server.SetFaults(once("SendCommand", ssmlocal.Fault{Delay: time.Minute}))
	answered := make(chan error, 1)
	go func() {
		_, err := w.client.SendCommand(context.WithoutCancel(t.Context()), shell("true", nodeA))
		answered <- err
	}()
	w.Eventually(w.clock.HasWaiters, 10*time.Second, time.Millisecond).Should(BeTrue())
	w.Expect(w.server.Ledger()).To(HaveLen(1), "it was accepted")
	w.Expect(answered).NotTo(Receive())
	w.clock.Step(time.Minute)
	w.Eventually(answered, 10*time.Second).Should(Receive(BeNil()))
}

func TestClientThatGaveUpBlocksNobody(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	w.server.SetFaults(once("SendCommand", ssmlocal.Fault{Delay: time.Minute}))
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := w.client.SendCommand(ctx, shell("true", nodeA))
		answered <- err
	}()
	w.Eventually(w.clock.HasWaiters, 10*time.Second, time.Millisecond).Should(BeTrue())
	w.Expect(w.state(w.send(shell("true", nodeA)))).To(Equal("Success/Success 1 1 0 0"), "others are answered meanwhile")
	cancel()
	w.Eventually(answered, 10*time.Second).Should(Receive(MatchError(context.Canceled)))
	w.Eventually(w.clock.HasWaiters, 10*time.Second, time.Millisecond).Should(BeFalse(), "nothing waits for the time of an answer that nobody reads")
	w.Expect(w.server.Ledger()).To(HaveLen(2), "it was accepted all the same")
}

// TestUndeliverableThatRan: AWS may call a command undeliverable that the agent has taken, and that runs.
func TestUndeliverableThatRan(t *testing.T) {
	tests := map[string]struct {
		connection ssmlocal.Connection
		fault      ssmlocal.Fault
	}{
		"connection": {ssmlocal.UndeliverableRan, ssmlocal.Fault{}},
		"fault":      {ssmlocal.Online, ssmlocal.Fault{UndeliverableRan: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add(nodeA, takes(10*time.Second), connection(tt.connection))
			w.server.SetFaults(once("SendCommand", tt.fault))
			id := w.send(shell("true", nodeA))
			w.Expect(w.invocation(id, nodeA)).To(Equal("Failed/Undeliverable -1"), "before it has ended, or the time was up")
			w.clock.Step(10 * time.Second)
			w.Expect(w.invocation(id, nodeA)).To(Equal("Failed/Undeliverable -1"))
			w.Expect(*w.get(id, nodeA).ExecutionStartDateTime).To(BeEmpty())
			w.Expect(w.plugins(id)).To(Equal([]string{"aws:runShellScript Failed/Undeliverable -1"}))
			w.Expect(w.state(id)).To(Equal("Failed/Undeliverable 1 1 0 0"))
			w.Expect(w.executions()).To(Equal([]string{"Run 10s"}))
		})
	}
}

func TestUndeliverableThatRanNeedsANodeThatAnswers(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0), connection(ssmlocal.ConnectionLost))
	w.server.SetFaults(once("SendCommand", ssmlocal.Fault{UndeliverableRan: true}))
	id := w.send(shell("true", nodeA))
	w.Expect(w.invocation(id, nodeA)).To(Equal("Pending/Pending -1"))
	w.Expect(w.executions()).To(BeEmpty())
	w.server.SetConnection(nodeA, ssmlocal.Online)
	w.Expect(w.invocation(id, nodeA)).To(Equal("Failed/Undeliverable -1"))
	w.Expect(w.executions()).To(Equal([]string{"Run 0s"}))
}

func TestDelayedAndReversedLists(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == "SendCommand" && c.Number == 2 {
			return ssmlocal.Fault{Lag: time.Minute}
		}
		return ssmlocal.Fault{Reverse: c.Operation == "ListCommands"}
	})
	first, second, third := w.send(shell("true", nodeA)), w.send(shell("true", nodeA)), w.send(shell("true", nodeA))
	list := func() []string {
		var got []string
		pages := ssm.NewListCommandsPaginator(w.client, &ssm.ListCommandsInput{MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			w.Expect(err).NotTo(HaveOccurred())
			for _, c := range page.Commands {
				got = append(got, *c.CommandId)
			}
		}
		return got
	}
	w.Expect(list()).To(Equal([]string{first, third}))
	w.clock.Step(time.Minute)
	w.Expect(list()).To(Equal([]string{first, second, third}))
}

func TestRateLimitAndCalls(t *testing.T) {
	w := newWorld(t)
	w.server.SetRateLimit(3)
	call := func() error {
		_, err := w.client.ListCommands(t.Context(), &ssm.ListCommandsInput{})
		return err
	}
	for range 3 {
		w.Expect(call()).To(Succeed())
	}
	w.Expect(call()).To(haveCode("ThrottlingException", "Rate exceeded"))
	w.clock.Step(time.Second / 3)
	w.Expect(call()).To(Succeed())
	w.Expect(call()).To(haveCode("ThrottlingException", ""))
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 6}))
	w.server.ResetCalls()
	w.server.SetRateLimit(0)
	w.Expect(call()).To(Succeed())
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1}))
}

func TestInvocationsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.addMany(3, ssmlocal.Scripted(ssmlocal.Healthy))
	w.send(shell("true"))
	w.send(shell("true", "i-00000000000000001"))
	w.Expect(w.server.Invocations()).To(BeEquivalentTo(4))
}

func TestRequestsMustBeSigned(t *testing.T) {
	w := newWorld(t)
	signed := "AWS4-HMAC-SHA256 Credential=AKID/20260304/eu-central-1/%s/aws4_request, SignedHeaders=host, Signature=" + times("0", 64)
	tests := map[string]struct{ target, authorization, want string }{
		"unsigned":        {"AmazonSSM.ListCommands", "", "MissingAuthenticationTokenException"},
		"not signature 4": {"AmazonSSM.ListCommands", "Bearer x", "IncompleteSignatureException"},
		"other service": {
			"AmazonSSM.ListCommands", strings.ReplaceAll(signed, "%s", "ec2"), "InvalidSignatureException",
		},
		"unknown operation": {
			"AmazonSSM.PutParameter", strings.ReplaceAll(signed, "%s", "ssm"), "UnknownOperationException",
		},
		"not JSON": {"AmazonSSM.ListCommands", strings.ReplaceAll(signed, "%s", "ssm"), "SerializationException"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL(), strings.NewReader("{"))
			g.Expect(err).NotTo(HaveOccurred())
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Target", tt.target)
			if tt.authorization != "" {
				r.Header.Set("Authorization", tt.authorization)
			}
			response, err := http.DefaultClient.Do(r)
			g.Expect(err).NotTo(HaveOccurred())
			defer func() { g.Expect(response.Body.Close()).To(Succeed()) }()
			g.Expect(response.StatusCode).To(Equal(http.StatusBadRequest))
			g.Expect(response.Header.Get("x-amzn-requestid")).NotTo(BeEmpty())
			g.Expect(io.ReadAll(response.Body)).To(ContainSubstring(`"__type":"` + tt.want + `"`))
		})
	}
}

func TestCallerIdentity(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.Account = "210987654321" })
	client := sts.New(sts.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(w.server.URL()), Credentials: credentials, Retryer: aws.NopRetryer{},
	})
	out, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(*out.Account).To(Equal("210987654321"))
	w.Expect(*out.Arn).To(HavePrefix("arn:aws:iam::210987654321:"))

	_, err = client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	w.Expect(err).To(haveCode("InvalidAction", "GetSessionToken"))
	w.server.SetFaults(once("GetCallerIdentity", ssmlocal.Fault{}))
	w.server.ResetCalls()
	w.server.SetFaults(once("GetCallerIdentity", ssmlocal.Fault{Code: "ExpiredToken", Message: "expired"}))
	_, err = client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	w.Expect(err).To(haveCode("ExpiredToken", "expired"))
}
