// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// addDocument adds a document of two steps, stop and start, of which version 2 is the default.
func (w *world) addDocument() {
	w.t.Helper()
	steps := []ssmlocal.Step{{Name: "stop", Script: "stop {{ Service }}"}, {Name: "start", Script: "start {{ Service }}"}}
	w.Expect(w.server.AddDocument(ssmlocal.Document{
		Name: "Restart",
		Versions: []ssmlocal.DocumentVersion{
			{Steps: []ssmlocal.Step{{Name: "old", Script: "restart"}}},
			{Parameters: []ssmlocal.Parameter{{Name: "Service"}}, Steps: steps},
		},
		DefaultVersion: 2,
	})).To(Succeed())
}

// restart sends the document to the first node.
func (w *world) restart() Command {
	w.t.Helper()
	command, err := w.region.Send(w.t.Context(), Send{
		InstanceIDs: []string{id(0)}, Document: "Restart", Parameters: map[string][]string{"Service": {"httpd"}},
	})
	w.Expect(err).NotTo(HaveOccurred())
	return command
}

// steps is what the steps of the document come to, by name.
func steps(outcomes map[string]ssmlocal.Outcome) func(ssmlocal.Execution) ssmlocal.Outcome {
	return func(e ssmlocal.Execution) ssmlocal.Outcome { return outcomes[e.Step] }
}

func TestSendOfADocument(t *testing.T) {
	w := newWorld(t, 1)
	w.addDocument()
	var scripts []string
	w.outcome = func(e ssmlocal.Execution) ssmlocal.Outcome {
		scripts = append(scripts, e.Script)
		return ssmlocal.Outcome{}
	}
	w.restart()
	_, err := w.region.Send(t.Context(), Send{
		InstanceIDs: []string{id(0)}, Document: "arn:aws:ssm:eu-central-1:210987654321:document/Restart", DocumentVersion: "1",
		CloudWatchLogGroup: "/ssm", S3Bucket: "bucket", S3KeyPrefix: "prefix",
	})
	w.Expect(err).NotTo(HaveOccurred())

	plain, full := w.server.Ledger()[0], w.server.Ledger()[1]
	w.Expect(scripts).To(Equal([]string{"stop httpd", "start httpd", "restart"}))
	w.Expect([]string{plain.DocumentName, plain.CloudWatchLogGroup, plain.S3Bucket, plain.S3KeyPrefix}).To(
		Equal([]string{"Restart", "", "", ""}))
	w.Expect([]string{full.DocumentName, full.CloudWatchLogGroup, full.S3Bucket, full.S3KeyPrefix}).To(
		Equal([]string{"Restart", "/ssm", "bucket", "prefix"}))
}

func TestInvocationOfADocument(t *testing.T) {
	tests := map[string]struct {
		outcomes   map[string]ssmlocal.Outcome
		wantStatus Status
		wantCode   int
		wantOutput string
	}{
		"succeeds": {
			map[string]ssmlocal.Outcome{"stop": {Stdout: "stopped\n"}, "start": {Stdout: "started\n"}},
			StatusSuccess, 0, "stopped\nstarted\n",
		},
		"first fails, the second runs": {
			map[string]ssmlocal.Outcome{"stop": {ExitCode: 3, Stdout: "no"}, "start": {Stdout: "started"}},
			StatusFailed, 3, "no\n----------ERROR-------\nfailed to run commands: exit status 3\nstarted",
		},
		"both fail": {
			map[string]ssmlocal.Outcome{"stop": {ExitCode: 3}, "start": {ExitCode: 4}},
			StatusFailed, 3, "\n----------ERROR-------\nfailed to run commands: exit status 3\n" +
				"\n----------ERROR-------\nfailed to run commands: exit status 4",
		},
		"second is killed": {
			map[string]ssmlocal.Outcome{"stop": {}, "start": {ExitCode: 137, Stdout: "started"}},
			StatusExecutionTimedOut, 137, "started",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.addDocument()
			w.outcome = steps(test.outcomes)
			sent := w.restart()
			invocations, err := whole(w.region.Invocations(t.Context(), InvocationFilter{CommandID: sent.ID}))
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(invocations).To(Equal([]Invocation{{
				CommandID: sent.ID, InstanceID: id(0), Status: test.wantStatus, StatusText: string(test.wantStatus),
				ResponseCode: test.wantCode, Output: test.wantOutput,
			}}))
			result, err := w.region.Result(t.Context(), sent.ID, id(0))
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(result.Status).To(Equal(test.wantStatus))
			w.Expect(result.Output).To(BeEmpty(), "AWS tells no details without a step")
		})
	}
}

func TestOutputOfManyStepsIsBounded(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat("é", 1250)
	plugins := make([]types.CommandPlugin, 20)
	for n := range plugins {
		plugins[n].Output = &long
	}
	output := outputOf(plugins)
	g.Expect(len(output)).To(BeNumerically("~", outputLimit, 1))
	g.Expect(output).To(HavePrefix(long + "\n" + long))
	g.Expect(output).NotTo(ContainSubstring("\uFFFD"))
}

func TestTrackerReadsADocumentByItsInvocations(t *testing.T) {
	w := newWorld(t, 1)
	w.addDocument()
	w.outcome = steps(map[string]ssmlocal.Outcome{
		"stop":  {ExitCode: 3, Delay: 10 * time.Second},
		"start": {Stdout: "started", Delay: 10 * time.Second},
	})
	sent := w.restart()
	w.region.Track(Want{Command: sent, Deadline: noon.Add(time.Minute)})
	for range 2 {
		w.Expect(w.region.Step(t.Context())).To(Equal(pollInterval))
		o, _ := w.region.Observe(sent.ID)
		w.Expect(o.Done).To(BeFalse(), "a step that has failed is not the end")
		w.Expect(o.Command.Status).To(Equal(StatusInProgress))
		w.clock.Step(10 * time.Second)
	}
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Invocations[id(0)].Status).To(Equal(StatusFailed))
	w.Expect(o.Invocations[id(0)].ResponseCode).To(Equal(3))
	w.Expect(o.Invocations[id(0)].Output).To(HaveSuffix("started"))
}

func TestTrackerKeepsTheDeadlineOfADocument(t *testing.T) {
	w := newWorld(t, 1)
	w.addDocument()
	w.outcome = steps(map[string]ssmlocal.Outcome{"stop": {Stdout: "stopped"}, "start": {NoAnswer: true}})
	sent := w.restart()
	w.region.Track(Want{Command: sent, Deadline: noon.Add(20 * time.Second)})
	w.clock.SetTime(noon.Add(19 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(Equal(pollInterval))
	w.clock.SetTime(noon.Add(20 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Invocations[id(0)]).To(Equal(Invocation{
		CommandID: sent.ID, InstanceID: id(0), Status: StatusInProgress, StatusText: "InProgress", ResponseCode: -1, Output: "stopped",
	}))
}

// lagging is a Service whose list of invocations is behind that of commands.
type lagging struct {
	Service
	behind bool
}

func (l *lagging) Invocations(ctx context.Context, f InvocationFilter) iter.Seq2[Invocation, error] {
	return func(yield func(Invocation, error) bool) {
		for invocation, err := range l.Service.Invocations(ctx, f) {
			if l.behind {
				invocation.Status = StatusInProgress
			}
			if !yield(invocation, err) {
				return
			}
		}
	}
}

func TestTrackerWaitsUntilTheInvocationSaysSoToo(t *testing.T) {
	w := newWorld(t, 1)
	w.addDocument()
	service := &lagging{Service: w.region.Service, behind: true}
	tracker := NewTracker(service, w.clock, func() {})
	sent := w.restart()
	tracker.Track(Want{Command: sent, Deadline: noon.Add(time.Hour)})
	w.Expect(tracker.Step(t.Context())).To(Equal(pollInterval))
	o, _ := tracker.Observe(sent.ID)
	w.Expect(o.Command.Done()).To(BeTrue())
	w.Expect(o.Done).To(BeFalse())
	service.behind = false
	w.clock.Step(pollInterval)
	w.Expect(tracker.Step(t.Context())).To(BeZero())
	o, _ = tracker.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Invocations[id(0)].Status).To(Equal(StatusSuccess))
}
