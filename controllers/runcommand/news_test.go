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

// staying has the nodes answer after so many seconds; the others never do.
func staying(w *world, ends map[string]ssmlocal.Outcome) (Command, *lagging, *Tracker) {
	w.t.Helper()
	w.outcome = func(e ssmlocal.Execution) ssmlocal.Outcome {
		if outcome, ok := ends[e.InstanceID]; ok {
			return outcome
		}
		return ssmlocal.Outcome{NoAnswer: true}
	}
	sent := w.send("a", 10)
	service := &lagging{Service: w.region.Service}
	tracker := NewTracker(service, w.clock, func() {})
	tracker.Track(Want{Command: sent, Exceptions: true, Interval: 2 * time.Second, Deadline: noon.Add(time.Hour)})
	tracker.Step(w.t.Context())
	w.server.ResetCalls()
	return sent, service, tracker
}

// look steps a tracker after its Interval, and returns what it knows.
func (w *world) look(tracker *Tracker, sent Command) Observation {
	w.t.Helper()
	w.clock.Step(2 * time.Second)
	tracker.Step(w.t.Context())
	o, _ := tracker.Observe(sent.ID)
	return o
}

func after(d time.Duration, code int) ssmlocal.Outcome {
	return ssmlocal.Outcome{Delay: d, ExitCode: code}
}

func TestNewsThatCouldNotBeReadIsReadLater(t *testing.T) {
	refuse := func(code string) func(*world, *lagging) {
		return func(w *world, _ *lagging) {
			w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
				if c.Operation == "ListCommandInvocations" {
					return ssmlocal.Fault{Code: code}
				}
				return ssmlocal.Fault{}
			})
		}
	}
	lag := func(_ *world, l *lagging) { l.behind = true }
	for name, trouble := range map[string]func(*world, *lagging){
		"the list fails": refuse("AccessDeniedException"), "it is throttled": refuse("ThrottlingException"), "it lags": lag,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 10)
			sent, service, tracker := staying(w, map[string]ssmlocal.Outcome{
				id(0): after(3*time.Second, 1), id(1): after(5*time.Second, 1),
			})
			w.Expect(w.look(tracker, sent).Command.Completed).To(BeZero())
			trouble(w, service)
			o := w.look(tracker, sent)
			w.Expect(o.Command.Errors).To(Equal(1))
			w.Expect(o.Invocations[id(0)].Status).NotTo(Equal(StatusFailed))
			w.server.SetFaults(nil)
			service.behind = false
			w.clock.Step(maxPollInterval)
			o = w.look(tracker, sent)
			w.Expect(o.Invocations[id(0)].Status).To(Equal(StatusFailed))
			w.Expect(o.Invocations[id(1)].Status).To(Equal(StatusFailed))
			w.Expect(o.PriorTimes).To(Equal(map[string]time.Time{
				id(0): noon.Add(2 * time.Second), id(1): noon.Add(2 * time.Second),
			}), "what was told later may have ended as early as the first news")
		})
	}
}

func TestEachEndIsDatedByTheQuietLookBefore(t *testing.T) {
	w := newWorld(t, 10)
	sent, _, tracker := staying(w, map[string]ssmlocal.Outcome{
		id(0): after(3*time.Second, 1), id(1): after(7*time.Second, 1),
	})
	for range 5 {
		w.look(tracker, sent)
	}
	o, _ := tracker.Observe(sent.ID)
	w.Expect(o.PriorTimes).To(Equal(map[string]time.Time{id(0): noon.Add(2 * time.Second), id(1): noon.Add(6 * time.Second)}))
	w.Expect(o.PriorTime).To(Equal(noon.Add(10 * time.Second)))
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 5, "ListCommandInvocations": 2}))
}

// TestEndsWithoutAnErrorAreToldWhenNoMoreCome has one node of a command that stays never end, which does not hide that the others
// have.
func TestEndsWithoutAnErrorAreToldWhenNoMoreCome(t *testing.T) {
	w := newWorld(t, 10)
	ends := map[string]ssmlocal.Outcome{}
	for n := range 9 {
		ends[id(n)] = after(time.Duration(n)*time.Second+time.Second, 0)
	}
	sent, _, tracker := staying(w, ends)
	for range 5 {
		w.Expect(w.look(tracker, sent).PriorTimes).To(BeEmpty(), "more may come")
	}
	o := w.look(tracker, sent)
	w.Expect(o.Done).To(BeFalse())
	w.Expect(o.PriorTimes).To(HaveLen(9))
	w.Expect(o.Invocations[id(8)].Status).To(Equal(StatusSuccess))
	w.look(tracker, sent)
	w.Expect(w.server.Calls()).To(Equal(map[string]int{"ListCommands": 7, "ListCommandInvocations": 1}))
}

func TestTheRecoveryOfANodeIsReadMoreOftenWhileItIsYoung(t *testing.T) {
	w := newWorld(t, 1)
	w.outcome = func(ssmlocal.Execution) ssmlocal.Outcome { return ssmlocal.Outcome{NoAnswer: true} }
	track := func(comment string) {
		w.region.Track(Want{Command: w.send(comment, 1), InstanceID: id(0), Deadline: noon.Add(time.Hour)})
	}
	track("a")
	for w.clock.Since(noon) < youngAge {
		w.Expect(w.region.Step(t.Context())).To(Equal(youngInterval))
		w.clock.Step(youngInterval)
	}
	w.Expect(w.region.Step(t.Context())).To(Equal(pollInterval))
	for n := range listPage + 1 {
		track(fmt.Sprint(n))
	}
	w.Expect(w.region.Step(t.Context())).To(Equal(pollInterval), "many are not worth it")
}

func TestAPersonMayCancelWhatOtherNodesHaveNotEnded(t *testing.T) {
	w := newWorld(t, 100)
	w.server.SetConnection(id(3), ssmlocal.ConnectionLost)
	w.server.SetConnection(id(4), ssmlocal.ConnectionLost)
	sent := w.sendByTag("a")
	w.exceptions(sent)
	w.Expect(w.region.Cancel(t.Context(), sent.ID, id(3))).To(Succeed())
	w.clock.SetTime(noon.Add(20 * time.Second))
	w.Expect(w.region.Step(t.Context())).To(BeZero())
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Command.Status.Final()).To(BeFalse())
	w.Expect(o.OthersSucceeded).To(BeTrue())
	w.Expect(o.Invocations).To(HaveLen(2))
	w.Expect(o.Invocations[id(3)].Status).To(Equal(StatusCancelled))
}

// TestAStragglerThatSucceedsIsNoException has one node of a command that stays end later than the others, which were told of while it
// still ran.
func TestAStragglerThatSucceedsIsNoException(t *testing.T) {
	w := newWorld(t, 10)
	ends := map[string]ssmlocal.Outcome{id(9): after(9*time.Second, 0)}
	for n := range 9 {
		ends[id(n)] = after(time.Second, 0)
	}
	sent, _, tracker := staying(w, ends)
	w.look(tracker, sent)
	o := w.look(tracker, sent)
	w.Expect(o.Invocations[id(9)].Status).To(Equal(StatusInProgress))
	for !o.Done {
		o = w.look(tracker, sent)
	}
	w.Expect(w.clock.Since(noon)).To(Equal(10 * time.Second))
	w.Expect(o.OthersSucceeded).To(BeTrue())
	w.Expect(o.Invocations).NotTo(HaveKey(id(9)))
}

// fleetOf100 is a command to the tags of 100 nodes, of which so many are offline.
func fleetOf100(t *testing.T, connection ssmlocal.Connection, offline int) (*world, Command) {
	t.Helper()
	w := newWorld(t, 100)
	for n := range offline {
		w.server.SetConnection(id(99-n), connection)
	}
	w.outcome = func(e ssmlocal.Execution) ssmlocal.Outcome {
		if e.InstanceID == id(50) {
			return after(3*time.Second, 1)
		}
		return after(500*time.Millisecond, 0)
	}
	sent := w.sendByTag("a")
	w.region.Track(Want{Command: sent, Exceptions: true, Offline: offline, Deadline: noon.Add(20 * time.Second)})
	return w, sent
}

// TestNobodyWaitsForNodesThatAreOffline has nothing read between the answers of all others and the deadline.
func TestNobodyWaitsForNodesThatAreOffline(t *testing.T) {
	w, sent := fleetOf100(t, ssmlocal.ConnectionLost, 2)
	w.clock.Step(time.Second)
	w.Expect(w.region.Step(t.Context())).To(Equal(2*time.Second), "one has not answered")
	w.clock.Step(2 * time.Second)
	next := w.region.Step(t.Context())
	w.Expect(next).To(Equal(6*time.Second), "they have just come")
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Invocations[id(50)].Status).To(Equal(StatusFailed))
	w.clock.Step(next)
	w.Expect(w.region.Step(t.Context())).To(Equal(11*time.Second), "the deadline")
}

// TestAnswersAreNotTakenForThoseOfOfflineNodes has AWS end the offline nodes at once: as many as that are still to answer.
func TestAnswersAreNotTakenForThoseOfOfflineNodes(t *testing.T) {
	w, sent := fleetOf100(t, ssmlocal.Undeliverable, 1)
	w.clock.Step(time.Second)
	w.Expect(w.region.Step(t.Context())).To(Equal(2 * time.Second))
	o, _ := w.region.Observe(sent.ID)
	w.Expect(o.Command.Completed).To(Equal(99))
	w.clock.Step(2 * time.Second)
	w.region.Step(t.Context())
	o, _ = w.region.Observe(sent.ID)
	w.Expect(o.Invocations[id(50)].Status).To(Equal(StatusFailed))
}

// TestWhatIsNotReadIsNotPutOffForNodesThatAreOffline has the only failure not be listed at first.
func TestWhatIsNotReadIsNotPutOffForNodesThatAreOffline(t *testing.T) {
	w, sent := fleetOf100(t, ssmlocal.ConnectionLost, 2)
	service := &lagging{Service: w.region.Service, behind: true}
	tracker := NewTracker(service, w.clock, func() {})
	tracker.Track(Want{Command: sent, Exceptions: true, Offline: 2, Deadline: noon.Add(time.Minute)})
	w.clock.Step(3 * time.Second)
	w.Expect(tracker.Step(t.Context())).To(Equal(6 * time.Second))
	w.clock.Step(6 * time.Second)
	w.Expect(tracker.Step(t.Context())).To(Equal(18 * time.Second))
	o, _ := tracker.Observe(sent.ID)
	w.Expect(o.Command.Errors).To(Equal(1))
	w.Expect(o.Invocations[id(50)].Status).NotTo(Equal(StatusFailed))
}

// hiding is a Service whose list of commands shows none for a while, as one that lags does.
type hiding struct {
	Service

	hidden bool
}

func (h *hiding) Commands(ctx context.Context, f CommandFilter) iter.Seq2[Command, error] {
	if h.hidden {
		return func(func(Command, error) bool) {}
	}
	return h.Service.Commands(ctx, f)
}

// TestACommandThatIsNotListedIsNotStill has a list that lags between two looks at a command of which all but one have answered.
func TestACommandThatIsNotListedIsNotStill(t *testing.T) {
	w, sent := fleetOf100(t, ssmlocal.ConnectionLost, 2)
	service := &hiding{Service: w.region.Service}
	tracker := NewTracker(service, w.clock, func() {})
	tracker.Track(Want{Command: sent, Exceptions: true, Offline: 2, Deadline: noon.Add(time.Minute)})
	w.clock.Step(3 * time.Second)
	w.Expect(tracker.Step(t.Context())).To(Equal(6 * time.Second))
	service.hidden = true
	w.clock.Step(6 * time.Second)
	tracker.Step(t.Context())
	w.Expect(tracker.commands[sent.ID].still).To(BeFalse())
	w.Expect(tracker.commands[sent.ID].othersAnswered()).To(BeFalse())
}
