// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func TestTrackerReadsAResultOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.outcome = func(ssmlocal.Execution) ssmlocal.Outcome {
		return ssmlocal.Outcome{Delay: 2 * time.Second, Stdout: "hello", Stderr: "world", ExitCode: 1}
	}
	news := 0
	sent := w.send("a", 1)
	w.region.Track(Want{Command: sent, InstanceID: id(0), Deadline: noon.Add(time.Hour), Notify: func() { news++ }})

	w.Expect(w.region.Step(t.Context())).To(Equal(youngInterval), "it still runs")
	o, tracked := w.region.Observe(sent.ID)
	w.Expect(tracked).To(BeTrue())
	w.Expect(o.Done).To(BeFalse())
	w.Expect(o.Command.Status).To(Equal(StatusInProgress))
	w.Expect(o.Invocations).To(BeEmpty())

	w.clock.Step(2 * time.Second)
	w.Expect(w.region.Step(t.Context())).To(BeZero(), "there is nothing left to wait for")
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Invocations[id(0)]).To(Equal(Invocation{
		CommandID: sent.ID, InstanceID: id(0), Status: StatusFailed, StatusText: "Failed", ResponseCode: 1, Output: "hello",
	}))
	w.Expect(news).To(Equal(2))

	w.server.ResetCalls()
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	w.Expect(w.server.Calls()).To(BeEmpty())
	w.region.Forget(sent.ID)
	_, tracked = w.region.Observe(sent.ID)
	w.Expect(tracked).To(BeFalse())
}

func TestTrackerSharesOneList(t *testing.T) {
	w := newWorld(t, 1)
	w.outcome = func(ssmlocal.Execution) ssmlocal.Outcome { return ssmlocal.Outcome{Delay: time.Hour} }
	for n := range 20 {
		w.region.Track(Want{Command: w.send(fmt.Sprint(n), 1), Deadline: noon.Add(time.Hour)})
	}
	w.server.ResetCalls()
	w.region.Step(t.Context())
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1}))
}

func TestTrackerTellsOfEachFailureAtOnce(t *testing.T) {
	w := newWorld(t, 3)
	w.outcome = func(e ssmlocal.Execution) ssmlocal.Outcome {
		switch e.InstanceID {
		case id(0):
			return ssmlocal.Outcome{ExitCode: 1, Stdout: "down"}
		case id(1):
			return ssmlocal.Outcome{NoAnswer: true}
		default:
			return ssmlocal.Outcome{}
		}
	}
	sent := w.send("a", 3)
	w.region.Track(Want{Command: sent, Deadline: noon.Add(20 * time.Second)})
	w.region.Step(t.Context())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeFalse(), "one has not answered")
	w.Expect(o.Invocations[id(0)].Output).To(HavePrefix("down"))
	w.Expect(o.Invocations[id(0)].Status).To(Equal(StatusFailed))

	w.server.ResetCalls()
	w.clock.Step(time.Second)
	w.region.Step(t.Context())
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 1}), "no new failure, no new list of results")

	w.clock.SetTime(noon.Add(20 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue(), "the deadline has passed")
	w.Expect(o.Invocations[id(1)].Status).To(Equal(StatusInProgress))
}

func TestTrackerWaitsForWhatIsNotVisibleYet(t *testing.T) {
	w := newWorld(t, 1, func(o *ssmlocal.Options) { *o.ReadLag = 3 * time.Second })
	sent := w.send("a", 1)
	w.region.Track(Want{Command: sent, InstanceID: id(0), Deadline: noon.Add(time.Hour)})
	w.Expect(w.region.Step(t.Context())).To(Equal(youngInterval), "not visible is no failure")
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Command.ID).To(BeEmpty())
	w.Expect(o.Err).NotTo(HaveOccurred())
	w.clock.Step(3 * time.Second)
	w.region.Step(t.Context())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
}

func TestTrackerAsksAFailingServiceLessAndLess(t *testing.T) {
	w := newWorld(t, 1)
	sent := w.send("a", 1)
	w.region.Track(Want{Command: sent, InstanceID: id(0), Deadline: noon.Add(time.Hour)})
	w.server.SetFaults(func(ssmlocal.Call) ssmlocal.Fault { return ssmlocal.Fault{Code: "ThrottlingException"} })
	var waits []time.Duration
	for range 7 {
		waits = append(waits, w.region.Step(t.Context()))
		w.clock.Step(waits[len(waits)-1])
	}
	w.Expect(waits).To(Equal([]time.Duration{
		2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second, 30 * time.Second,
	}))
	o, _ := w.region.Observe(sent.ID)
	w.Expect(Classify(o.Err)).To(Equal(Throttled))
	w.server.SetFaults(nil)
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue())
	w.Expect(o.Err).NotTo(HaveOccurred())
}

func TestSearchFindsByComment(t *testing.T) {
	w := newWorld(t, 2)
	for n := range 60 {
		w.send(fmt.Sprint("other ", n), 2)
	}
	sent := w.send("mine", 2)
	search := Search{Comment: "mine", InstanceID: id(1), After: noon, Before: noon.Add(time.Minute), Until: noon.Add(time.Hour)}
	w.Expect(w.region.Search(search).Found.ID).To(BeEmpty())
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	w.Expect(w.region.Search(search).Found.ID).To(Equal(sent.ID))
	w.region.EndSearch("mine")
	w.Expect(w.region.Search(search).Found.ID).To(BeEmpty(), "a new search starts anew")
}

func TestSearchFindsWhatHasNotReachedTheNode(t *testing.T) {
	w := newWorld(t, 1)
	w.server.SetConnection(id(0), ssmlocal.ConnectionLost)
	sent := w.send("mine", 1)
	search := Search{Comment: "mine", InstanceID: id(0), After: noon, Before: noon.Add(time.Minute), Until: noon.Add(time.Hour)}
	w.region.Search(search)
	w.region.Step(t.Context())
	w.Expect(w.region.Search(search).Found.ID).To(Equal(sent.ID))
}

func TestSearchGoesOnUntilItIsEnded(t *testing.T) {
	w := newWorld(t, 1)
	search := Search{Comment: "mine", InstanceID: id(0), After: noon, Before: noon.Add(time.Minute), Until: noon.Add(time.Hour)}
	w.region.Search(search)
	for range 10 {
		w.Expect(w.region.Step(t.Context())).To(Equal(pollInterval))
		w.clock.Step(time.Second)
	}
	result := w.region.Search(search)
	w.Expect(result.Found.ID).To(BeEmpty())
	w.Expect(result.LookTime).To(Equal(noon.Add(lookInterval)))
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 4}), "two looks of two lists")
	w.region.EndSearch("mine")
	w.Expect(w.region.Step(t.Context())).To(BeZero())
}

func TestSearchEndsByItself(t *testing.T) {
	w := newWorld(t, 1)
	w.region.Search(Search{Comment: "mine", InstanceID: id(0), After: noon, Before: noon, Until: noon.Add(time.Minute)})
	w.Expect(w.region.Step(t.Context())).To(Equal(pollInterval))
	w.clock.Step(time.Minute + time.Second)
	w.Expect(w.region.Step(t.Context())).To(BeZero())
}

func TestSearchFindsTheCommandOfANodeThatIsGone(t *testing.T) {
	w := newWorld(t, 1)
	sent := w.send("mine", 1)
	w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.InstanceID != "" {
			return ssmlocal.Fault{Code: "InvalidInstanceId"}
		}
		return ssmlocal.Fault{}
	})
	search := Search{Comment: "mine", InstanceID: id(0), After: noon, Before: noon, Until: noon.Add(time.Hour)}
	w.region.Search(search)
	w.region.Step(t.Context())
	w.Expect(w.region.Search(search).Found.ID).To(Equal(sent.ID))
}

func TestACommandThatCannotBeReadDoesNotSlowTheOthersDown(t *testing.T) {
	w := newWorld(t, 1)
	w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == "GetCommandInvocation" {
			return ssmlocal.Fault{Code: "AccessDeniedException"}
		}
		return ssmlocal.Fault{}
	})
	sent := w.send("a", 1)
	w.region.Track(Want{Command: sent, InstanceID: id(0), Deadline: noon.Add(time.Hour)})
	w.Expect(w.region.Step(t.Context())).To(Equal(maxPollInterval))
	w.server.ResetCalls()
	w.clock.Step(time.Second)
	w.region.Step(t.Context())
	w.Expect(w.server.Calls()).To(BeEmpty(), "it is asked for less often")

	w.clock.SetTime(noon.Add(time.Hour))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Done).To(BeTrue(), "the deadline has passed")
	w.Expect(o.Err).To(HaveOccurred())
	w.Expect(o.ReadTime).To(BeZero())
}

func TestWhatTheSharedListDoesNotShowIsAskedForById(t *testing.T) {
	w := newWorld(t, 1)
	w.outcome = func(ssmlocal.Execution) ssmlocal.Outcome { return ssmlocal.Outcome{Delay: time.Hour} }
	old := w.send("old", 1)
	w.clock.Step(longAge)
	w.region.Track(Want{Command: old, Deadline: noon.Add(time.Hour)})
	for n := range 4 {
		w.region.Track(Want{Command: w.send(fmt.Sprint(n), 1), Deadline: noon.Add(time.Hour)})
	}
	w.server.ResetCalls()
	w.region.Step(t.Context())
	w.Expect(w.server.Calls()["ListCommands"]).To(Equal(2), "the old one by its id, the others together")
	o, _ := w.region.Observe(old.ID)
	w.Expect(o.Command.ID).To(Equal(old.ID))
}

func TestWhatNobodyForgetsIsDroppedInTheEnd(t *testing.T) {
	w := newWorld(t, 1)
	sent := w.send("a", 1)
	w.region.Track(Want{Command: sent, InstanceID: id(0), Deadline: noon.Add(time.Hour)})
	w.region.Step(t.Context())
	w.clock.Step(keepDone + time.Second)
	w.region.Step(t.Context())
	_, tracked := w.region.Observe(sent.ID)
	w.Expect(tracked).To(BeFalse())
}
