// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// sendByTag sends a script to all nodes.
func (w *world) sendByTag(comment string) Command {
	w.t.Helper()
	send := ShellScript("true", 10*time.Second)
	send.Comment = comment
	send.Tags = []Tag{{Key: "Role", Values: []string{"web"}}}
	command, err := w.region.Send(w.t.Context(), send)
	w.Expect(err).NotTo(HaveOccurred())
	return command
}

// exceptions tracks a command of which only the exceptions are wanted, with a deadline 20 s from noon.
func (w *world) exceptions(sent Command) {
	w.region.Track(Want{Command: sent, Exceptions: true, Deadline: noon.Add(20 * time.Second)})
	w.server.ResetCalls()
}

// failing makes the first so many nodes fail.
func failing(nodes int) func(ssmlocal.Execution) ssmlocal.Outcome {
	return func(e ssmlocal.Execution) ssmlocal.Outcome {
		if e.InstanceID < id(nodes) {
			return ssmlocal.Outcome{ExitCode: 1, Stdout: "down"}
		}
		return ssmlocal.Outcome{}
	}
}

func TestASuccessByCountsCostsTwoCallsWhateverTheFleet(t *testing.T) {
	w := newWorld(t, 300)
	sent := w.sendByTag("a")
	w.exceptions(sent)
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1, "ListCommandInvocations": 1}))
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.OthersSucceeded).To(BeTrue())
	w.Expect(o.Command.Targets).To(Equal(300))
	w.Expect(o.Invocations).To(BeEmpty())
	w.Expect(o.ReadTime).To(Equal(noon))
}

func TestCommandsThatEndTogetherShareTheirReads(t *testing.T) {
	w := newWorld(t, 10)
	var all []Command
	for n := range 50 {
		all = append(all, w.send(fmt.Sprint(n), 10))
	}
	for _, sent := range all {
		w.exceptions(sent)
	}
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1, "ListCommandInvocations": 1}))
	for _, sent := range all {
		o, _ := w.region.Observe(sent.ID)
		w.Expect(o.OthersSucceeded).To(BeTrue())
	}
}

func TestWhatCountsHideIsFound(t *testing.T) {
	for name, nodes := range map[string]int{"few": 10, "many": 100} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nodes)
			w.server.SetConnection(id(3), ssmlocal.Undeliverable)
			sent := w.sendByTag("a")
			w.exceptions(sent)
			w.Expect(w.region.Step(t.Context())).To(BeZero())
			o, _ := w.region.Observe(sent.ID)
			w.Expect(o.Command.Errors).To(BeZero())
			w.Expect(o.Command.Completed).To(Equal(nodes))
			w.Expect(o.Invocations).To(HaveKey(id(3)))
			w.Expect(o.Invocations[id(3)].Status).To(Equal(StatusUndeliverable))
			w.Expect(o.Done).To(BeTrue())
		})
	}
}

func TestUndeliveredOnesOfOthersDoNotHideOurs(t *testing.T) {
	w := newWorld(t, maxSwept+20)
	for n := range maxSwept + 10 {
		w.server.SetConnection(id(n), ssmlocal.Undeliverable)
	}
	first := w.send("first", 1)
	w.sendByTag("of somebody else")
	last := ShellScript("true", 10*time.Second)
	last.InstanceIDs = []string{id(maxSwept + 15)}
	second, err := w.region.Send(t.Context(), last)
	w.Expect(err).NotTo(HaveOccurred())
	w.exceptions(first)
	w.exceptions(second)
	w.region.Step(t.Context())
	o, _ := w.region.Observe(first.ID)
	w.Expect(o.Invocations).To(HaveLen(1))
	o, _ = w.region.Observe(second.ID)
	w.Expect(o.OthersSucceeded).To(BeTrue())
	w.Expect(o.Invocations).To(BeEmpty())
}

func TestOnlyTheExceptionsOfALargeCommandAreListed(t *testing.T) {
	w := newWorld(t, 400)
	w.outcome = failing(60)
	for n := 250; n < 360; n++ {
		w.server.SetConnection(id(n), ssmlocal.ConnectionLost)
	}
	w.server.SetConnection(id(360), ssmlocal.Undeliverable)
	sent := w.sendByTag("a")
	w.exceptions(sent)
	w.region.Step(t.Context())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeFalse(), "110 have not answered")
	w.Expect(o.Command.Errors).To(Equal(60))

	w.server.ResetCalls()
	w.clock.SetTime(noon.Add(20 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.OthersSucceeded).To(BeTrue())
	w.Expect(o.Invocations).To(HaveLen(60 + 110 + 1))
	w.Expect(o.Invocations[id(0)].Output).To(HavePrefix("down"))
	w.Expect(o.Invocations[id(300)].Status).To(Equal(StatusPending))
	w.Expect(o.Invocations[id(360)].Status).To(Equal(StatusUndeliverable))
	// Failed has two pages and Pending three; five statuses are looked for that no count tells.
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1, "ListCommandInvocations": 10}))
}

func TestAFewFailuresOfALargeCommandAreToldAtOnce(t *testing.T) {
	w := newWorld(t, 100)
	w.outcome = failing(2)
	w.server.SetConnection(id(50), ssmlocal.ConnectionLost)
	sent := w.sendByTag("a")
	w.exceptions(sent)
	w.region.Step(t.Context())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeFalse())
	w.Expect(o.Invocations).To(HaveLen(2))
	w.Expect(o.Invocations[id(1)].Status).To(Equal(StatusFailed))
}

func TestACommandThatDidNotReachItsNodesSaysNothingOfThem(t *testing.T) {
	w := newWorld(t, maxUnended+2)
	for n := range maxUnended + 1 {
		w.server.SetConnection(id(n), ssmlocal.ConnectionLost)
	}
	sent := w.sendByTag("a")
	w.exceptions(sent)
	w.clock.SetTime(noon.Add(20 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.OthersSucceeded).To(BeFalse())
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1}), "nobody reads eleven pages of them")
}

func TestASweepThatFailsProvesNothing(t *testing.T) {
	w := newWorld(t, 100)
	w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == "ListCommandInvocations" {
			return ssmlocal.Fault{Code: "AccessDeniedException", Message: "no"}
		}
		return ssmlocal.Fault{}
	})
	sent := w.sendByTag("a")
	w.exceptions(sent)
	w.region.Step(t.Context())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeFalse())
	w.Expect(Classify(o.Err)).To(Equal(Denied))
	w.clock.SetTime(noon.Add(20 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.OthersSucceeded).To(BeFalse())
}

// unlisted is a Service whose list of invocations lacks a node.
type unlisted struct {
	Service
	instanceID string
}

func (u *unlisted) Invocations(ctx context.Context, f InvocationFilter) iter.Seq2[Invocation, error] {
	return func(yield func(Invocation, error) bool) {
		for i, err := range u.Service.Invocations(ctx, f) {
			if i.InstanceID != u.instanceID && !yield(i, err) {
				return
			}
		}
	}
}

func TestCountsAndListsHaveToAgree(t *testing.T) {
	w := newWorld(t, 100)
	w.outcome = failing(2)
	service := &unlisted{w.region.Service, id(1)}
	tracker := NewTracker(service, w.clock, func() {})
	sent := w.sendByTag("a")
	tracker.Track(Want{Command: sent, Exceptions: true, Deadline: noon.Add(20 * time.Second)})
	w.Expect(tracker.Step(t.Context())).To(Equal(pollInterval))
	o, _ := tracker.Observe(sent.ID)
	w.Expect(o.Done).To(BeFalse(), "the counts tell of two failures, and the list of one")

	t.Run("in the end they do", func(t *testing.T) {
		service.instanceID = ""
		w.clock.Step(time.Second)
		tracker.Step(t.Context())
		o, _ = tracker.Observe(sent.ID)
		w.Expect(o.Done).To(BeTrue())
		w.Expect(o.OthersSucceeded).To(BeTrue())
		w.Expect(o.Invocations).To(HaveLen(2))
	})
	t.Run("they never do", func(t *testing.T) {
		service.instanceID = id(1)
		tracker.Forget(sent.ID)
		tracker.Track(Want{Command: sent, Exceptions: true, Deadline: noon.Add(20 * time.Second)})
		for wait := tracker.Step(t.Context()); wait > 0; wait = tracker.Step(t.Context()) {
			w.clock.Step(wait)
		}
		o, _ = tracker.Observe(sent.ID)
		w.Expect(o.Done).To(BeTrue())
		w.Expect(o.OthersSucceeded).To(BeFalse())
		w.Expect(w.clock.Now()).To(BeTemporally("~", noon.Add(20*time.Second+exceptionsGrace), 2*time.Second))
	})
}

func TestACommandIsNotAskedForBeforeItIsExpectedToEnd(t *testing.T) {
	w := newWorld(t, 100)
	w.outcome = func(ssmlocal.Execution) ssmlocal.Outcome { return ssmlocal.Outcome{Delay: 100 * time.Millisecond} }
	sent := w.sendByTag("a")
	w.region.Track(Want{Command: sent, Exceptions: true, Expected: 4 * time.Second, Deadline: noon.Add(20 * time.Second)})
	w.server.ResetCalls()
	w.Expect(w.region.Wait()).To(Equal(4 * time.Second))
	w.clock.Step(3 * time.Second)
	w.Expect(w.region.Step(t.Context())).To(Equal(time.Second))
	w.Expect(w.server.Calls()).To(BeEmpty())

	// Another command that is read brings its counts along.
	for n := range 4 {
		w.region.Track(Want{Command: w.send(fmt.Sprint(n), 1), InstanceID: id(0), Deadline: noon.Add(time.Hour)})
	}
	w.region.Step(t.Context())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Command.ID).To(BeEmpty(), "the list was not read further than to what was due")
	w.clock.Step(time.Second)
	w.region.Step(t.Context())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Settled).To(Equal(4 * time.Second))
}

func TestALateLookDoesNotMakeACommandLateAndTheDeadlineIsKept(t *testing.T) {
	w := newWorld(t, 100)
	sent := w.sendByTag("a")
	track := func(expected time.Duration) {
		w.region.Track(Want{Command: sent, Exceptions: true, Expected: expected, Deadline: noon.Add(20 * time.Second)})
	}
	track(4 * time.Second)
	w.clock.Step(5 * time.Second)
	w.region.Step(t.Context())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Settled).To(Equal(4 * time.Second))
	w.region.Forget(sent.ID)
	track(time.Minute)
	w.Expect(w.region.Wait()).To(Equal(15 * time.Second))
}

func TestOldCommandsAreFoundAmongThoseThatRun(t *testing.T) {
	w := newWorld(t, 60)
	long := func(comment string) Command {
		send := ShellScript("true", time.Hour)
		send.Comment, send.InstanceIDs = comment, []string{id(len(comment))}
		sent, err := w.region.Send(t.Context(), send)
		w.Expect(err).NotTo(HaveOccurred())
		return sent
	}
	w.outcome = func(e ssmlocal.Execution) ssmlocal.Outcome {
		if e.Comment == "short" {
			return ssmlocal.Outcome{}
		}
		return ssmlocal.Outcome{Delay: 10 * time.Minute}
	}
	for _, comment := range []string{"a", "bb", "ccc", "dddd", "eeeee"} {
		w.region.Track(Want{
			Command: long(comment), Exceptions: true, Interval: 2 * time.Second, Deadline: noon.Add(time.Hour),
		})
	}
	for range 200 {
		w.send("short", 1)
	}
	w.clock.Step(oldAge)
	w.server.ResetCalls()
	w.Expect(w.region.Step(t.Context())).To(Equal(2 * time.Second))
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1}), "and not the pages of all that came after them")
}
