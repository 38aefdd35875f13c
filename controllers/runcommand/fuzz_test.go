// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"
)

var instanceIDForm = regexp.MustCompile(`^(i-\w{8,17}|mi-\w{8,17})$`)

// understood asserts that an error, whatever it is, has a meaning and can be shown.
func understood(g *WithT, err error) {
	class := Classify(err)
	g.Expect(class).To(And(BeNumerically(">=", Unavailable), BeNumerically("<=", NotYet)))
	g.Expect(class.String()).NotTo(BeEmpty())
	words := Words(err)
	g.Expect(utf8.ValidString(words)).To(BeTrue(), "%q", words)
	g.Expect(len(words)).To(BeNumerically("<=", 303))
	g.Expect(strings.Join(strings.Fields(words), " ")).To(Equal(words), "one line")
	for _, id := range InvalidInstances(err) {
		g.Expect(id).To(MatchRegexp(instanceIDForm.String()))
		g.Expect(err.Error()).To(ContainSubstring(id))
	}
}

// FuzzErrors classifies errors of any code, text and status. A send is taken for refused only by a code that AWS is known to
// refuse with.
func FuzzErrors(f *testing.F) {
	for code := range classes {
		f.Add(code, "User: arn is not authorized\nto perform: ssm:SendCommand", 400, byte(0))
	}
	f.Add("SomethingNew", strings.Repeat("é", 400), 503, byte(1))
	f.Add("InvalidInstanceId", "Instances [[i-0a1b2c3d4e5f60718, mi-0a1b2c3d4e5f60718, i-12]] not in a valid state", 400, byte(2))
	f.Add("", "\xff\x00\x1b[31m", 0, byte(3))
	f.Add("", "read: connection reset by peer", 0, byte(4))
	f.Fuzz(func(t *testing.T, code, message string, status int, kind byte) {
		g := NewWithT(t)
		api := error(&smithy.GenericAPIError{Code: code, Message: message})
		response := &smithyhttp.Response{Response: &http.Response{StatusCode: status}}
		var err error
		switch kind % 6 {
		case 0:
			err = &smithy.OperationError{ServiceID: "SSM", OperationName: "SendCommand", Err: api}
		case 1:
			err = fmt.Errorf("sending command: %w", &smithyhttp.ResponseError{Response: response, Err: api})
		case 2:
			err = errors.Join(errors.New(message), api)
		case 3:
			err = &smithyhttp.ResponseError{Response: response, Err: errors.New(message)}
		case 4:
			err = &net.OpError{Op: "read", Net: "tcp", Err: errors.New(message)}
		case 5:
			err = &credentialsError{errors.New(message)}
		}
		understood(g, err)
		class, known := classes[code]
		switch {
		case kind%6 == 5:
			g.Expect(MayBeAccepted(err)).To(BeFalse(), "nothing was sent")
			g.Expect(Classify(err)).To(Equal(Denied))
		case kind%6 < 3 && known:
			g.Expect(MayBeAccepted(err)).To(BeFalse())
			g.Expect(Classify(err)).To(Equal(class))
		default:
			g.Expect(MayBeAccepted(err)).To(BeTrue(), "nothing is proven")
		}
	})
}

// answers is a Systems Manager that gives every request the same answer.
type answers struct {
	status int
	header http.Header
	body   string
	calls  int
}

func (a *answers) Do(request *http.Request) (*http.Response, error) {
	a.calls++
	return &http.Response{
		StatusCode: a.status, Header: a.header.Clone(), Body: io.NopCloser(strings.NewReader(a.body)), Request: request,
		ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(a.body)),
	}, nil
}

// FuzzAnswers gives the SDK, and what reads its results, any answer to every call.
func FuzzAnswers(f *testing.F) {
	const refusal = `{"__type":"com.amazonaws.ssm#InvalidInstanceId","Message":"Instances [[i-0a1b2c3d4e5f60718]] not in a valid state"}`
	const id = "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10"
	f.Add(200, "", `{"Command":{"CommandId":"`+id+`","Status":"Pending","RequestedDateTime":1774785600.123,"TargetCount":1}}`)
	f.Add(200, "", `{"Commands":[{"CommandId":"`+id+`","StatusDetails":"Delivery Timed Out","ErrorCount":-1}],"NextToken":"t"}`)
	f.Add(200, "", `{"CommandInvocations":[{"CommandId":"`+id+`","CommandPlugins":[{"ResponseCode":3,"Output":"\u0000\ud800"},{}]}],"NextToken":"t"}`)
	f.Add(200, "", `{"StatusDetails":"Success","ResponseCode":-1,"StandardOutputContent":"ssm-remediator/v1 x probed msg="}`)
	f.Add(200, "", `{"InstanceInformationList":[{"InstanceId":"i-0a1b2c3d4e5f60718","PingStatus":"Online"},{}],"NextToken":"t"}`)
	f.Add(200, "", `{"Command":null}`)
	f.Add(200, "", `<html>welcome to the hotel</html>`)
	f.Add(200, "", "")
	f.Add(400, "", refusal)
	f.Add(400, "ThrottlingException:http://internal.amazon.com/", "")
	f.Add(429, "", `{}`)
	f.Add(500, "", `{"__type":"InternalServerError"}`)
	f.Add(503, "", "\xff\xfe no JSON")
	f.Add(302, "", `{"__type":[1,2]}`)
	f.Fuzz(func(t *testing.T, status int, errorType, body string) {
		if status < 200 || status > 599 {
			return // HTTP knows none that ends a request.
		}
		g, all := NewWithT(t), &answers{status: status, header: http.Header{}, body: body}
		all.header.Set("X-Amzn-Errortype", errorType)
		client := ssm.New(ssm.Options{
			Region: "eu-central-1", HTTPClient: all, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		})
		service := NewService(client, nil)
		sent, err := service.Send(t.Context(), Send{Document: "AWS-RunShellScript", InstanceIDs: []string{"i-0a1b2c3d4e5f60718"}})
		if err == nil {
			g.Expect(status).To(BeNumerically("<", 300))
			g.Expect(sent.Status).To(Equal(parseStatus(string(sent.Status))))
		} else {
			understood(g, err)
			g.Expect(MayBeAccepted(err) || status >= 300).To(BeTrue(), "AWS refuses nothing with %d", status)
		}
		for _, read := range []func() error{
			func() error { _, err := whole(service.Commands(t.Context(), CommandFilter{})); return err },
			func() error {
				_, err := whole(service.Invocations(t.Context(), InvocationFilter{CommandID: id}))
				return err
			},
			func() error { _, err := service.Result(t.Context(), id, "i-0a1b2c3d4e5f60718"); return err },
			func() error { return service.Cancel(t.Context(), id, "i-0a1b2c3d4e5f60718") },
			func() error { _, err := service.Nodes(t.Context(), NodeFilter{}); return err },
		} {
			all.calls = 0
			if err := read(); err != nil {
				understood(g, err)
			}
			g.Expect(all.calls).To(BeNumerically("<=", maxPages), "a list has an end")
		}
	})
}

// FuzzStatus reads statuses of any spelling.
func FuzzStatus(f *testing.F) {
	for _, text := range []string{"Success", "Delivery Timed Out", "InProgress", "Undeliverable", "", " ", "SomethingNew", "failed"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, status := NewWithT(t), parseStatus(text)
		g.Expect(parseStatus(string(status))).To(Equal(status))
		g.Expect(!status.Ran() || status.Final()).To(BeTrue(), "what ran has ended")
		g.Expect((Command{Status: status}).Done()).To(Equal(status.Final()))
	})
}

// FuzzInvocation reads what a list tells of a document with any steps.
func FuzzInvocation(f *testing.F) {
	f.Add("Failed", "Success", "Failed", int32(0), int32(3), "stopped\n", "é", 1)
	f.Add("", "Delivery Timed Out", "", int32(-1), int32(-1), strings.Repeat("é", 11999)+"x", "é", 3)
	f.Fuzz(func(t *testing.T, details, first, second string, code, other int32, output, more string, times int) {
		if !utf8.ValidString(output + " " + more) {
			return // JSON holds no such text.
		}
		g, steps := NewWithT(t), []types.CommandPlugin{{StatusDetails: &first, ResponseCode: code, Output: &output}}
		for range times % 8 {
			steps = append(steps, types.CommandPlugin{Status: types.CommandPluginStatus(second), ResponseCode: other, Output: &more}, types.CommandPlugin{})
		}
		i := invocationFrom(&types.CommandInvocation{StatusDetails: &details, Status: types.CommandInvocationStatus(first), CommandPlugins: steps})
		g.Expect(i.ResponseCode).To(BeElementOf(int(code), int(other), 0))
		g.Expect(len(i.Output)).To(BeNumerically("<=", outputLimit))
		g.Expect(utf8.ValidString(i.Output)).To(BeTrue())
		g.Expect(strings.HasPrefix(output, i.Output) || strings.HasPrefix(i.Output, output)).To(BeTrue(), "the first step comes first")
	})
}

// erratic is a Service that answers as the bytes of the fuzzer say.
type erratic struct {
	Service
	data []byte
}

func (e *erratic) below(n int) int {
	if len(e.data) == 0 {
		return 0
	}
	next := e.data[0]
	e.data = e.data[1:]
	return int(next) % n
}

func (e *erratic) err() error {
	codes := []string{"", "", "", "", "ThrottlingException", "InvocationDoesNotExist", "AccessDeniedException", "InvalidInstanceId", "SomethingNew"}
	if code := codes[e.below(len(codes))]; code != "" {
		return &smithy.GenericAPIError{Code: code}
	}
	return nil
}

func (e *erratic) status() Status {
	statuses := []Status{StatusPending, StatusInProgress, StatusSuccess, StatusFailed, StatusUndeliverable, "SomethingNew", ""}
	return statuses[e.below(len(statuses))]
}

func (e *erratic) Commands(context.Context, CommandFilter) iter.Seq2[Command, error] {
	var commands []Command
	for range e.below(6) {
		commands = append(commands, Command{
			ID: fmt.Sprint("c", e.below(6)), Comment: fmt.Sprint("s", e.below(3)), Status: e.status(),
			Targets: e.below(3), Completed: e.below(4), Errors: e.below(3) - 1,
		})
	}
	return list(commands, e.err())
}

// list yields the items, and then the error if there is one.
func list[T any](items []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

func (e *erratic) Invocations(_ context.Context, f InvocationFilter) iter.Seq2[Invocation, error] {
	var invocations []Invocation
	for range e.below(4) {
		invocations = append(invocations, Invocation{CommandID: f.CommandID, InstanceID: id(e.below(3)), Status: e.status()})
	}
	return list(invocations, e.err())
}

func (e *erratic) Result(_ context.Context, commandID, instanceID string) (Invocation, error) {
	return Invocation{CommandID: commandID, InstanceID: instanceID, Status: e.status()}, e.err()
}

// FuzzTracker reads commands from a service that lists, omits, repeats and takes back as it likes. Nobody waits for longer than
// the deadline, and AWS is never asked in a hot loop.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\x00\x00\x02\x01\x01\x00\x00\x01\x00\x02\x00"))
	f.Add([]byte(strings.Repeat("\x03\x01\x00\x02\x05\x04", 60)))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, service, clk := NewWithT(t), &erratic{data: data}, clocktesting.NewFakeClock(noon)
		tracker, news := NewTracker(service, clk, func() {}), 0
		deadline := noon.Add(time.Duration(service.below(200)) * time.Second)
		for n := range 1 + service.below(6) {
			instance := ""
			if n%2 == 0 {
				instance = id(0)
			}
			tracker.Track(Want{
				Command:    Command{ID: fmt.Sprint("c", n), RequestTime: noon, Targets: []int{0, 2, 100}[n%3]},
				InstanceID: instance, Exceptions: n%4 == 1, Deadline: deadline, Notify: func() { news++ },
			})
		}
		found := tracker.Search(Search{Comment: "s0", InstanceID: id(0), After: noon, Before: deadline, Until: deadline})
		g.Expect(found.Found.ID).To(BeEmpty())
		for !clk.Now().After(deadline.Add(exceptionsGrace + 2*maxPollInterval)) {
			wait := tracker.Step(t.Context())
			g.Expect(wait == 0 || (wait >= youngInterval && wait <= maxPollInterval)).To(BeTrue(), "%v", wait)
			if wait == 0 {
				break
			}
			clk.Step(wait)
		}
		g.Expect(tracker.Step(t.Context())).To(BeZero(), "there is nothing left to wait for")
		for id := range tracker.commands {
			o, _ := tracker.Observe(id)
			g.Expect(o.Done).To(BeTrue())
			g.Expect(news).To(BeNumerically(">", 0))
		}
	})
}
