// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// halfAMinute is a watch that looks every second, and is over when two looks have found the process down.
func halfAMinute() sent { return watchOf(byFile(), 30*second, 2) }

const (
	inProgress = "InProgress"
	wasHealthy = "Healthy/CheckPassed failures=0 busy=false"
	wasDown    = "Unhealthy/CheckFailed failures=2 busy=false"
	wasBusy    = "Healthy/CheckPassed failures=0 busy=true"
)

func TestWatchThroughTheServer(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	read := w.sendScript(halfAMinute())
	w.Expect(read(29 * second)).To(Equal(inProgress))
	w.Expect(n.Watched(w.clock.Now())).To(BeTrue())
	w.Expect(read(second)).To(Equal(wasHealthy))
	w.Expect(n.Watched(w.clock.Now())).To(BeFalse())
	w.Expect(w.fleet.Ledger.Effects()).To(BeEmpty())
}

// TestWatchEndsSoonAfterTheProcess has it die after 11.5 s: the looks after 12 and 13 s find it down.
func TestWatchEndsSoonAfterTheProcess(t *testing.T) {
	const dies = 11*second + second/2
	for name, told := range map[string]time.Duration{"told before": 0, "told then": dies, "told a moment later": dies + 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			read := w.sendScript(halfAMinute())
			w.clock.Step(told)
			w.fleet.Nodes()[0].Fail(at(dies))
			w.Expect(read(13*second - 1 - told)).To(Equal(inProgress))
			w.Expect(w.fleet.Nodes()[0].Watched(w.clock.Now())).To(BeTrue())
			w.Expect(read(1)).To(Equal(wasDown))
			w.Expect(w.fleet.Nodes()[0].Watched(w.clock.Now())).To(BeFalse())
			// What it has said does not change any more.
			w.fleet.Nodes()[0].Start(w.clock.Now())
			w.Expect(read(time.Minute)).To(Equal(wasDown))
		})
	}
}

func TestWhatAWatchSees(t *testing.T) {
	tests := map[string]struct {
		happens func(w *world, n *Node)
		// ends is so long after that has happened, which is 11.5 s after the start.
		ends time.Duration
		want string
	}{
		"a stop":              {func(w *world, n *Node) { n.Stop(w.clock.Now()) }, second + second/2, wasDown},
		"a failure to come":   {func(w *world, n *Node) { n.Fail(w.clock.Now().Add(5 * second)) }, 6*second + second/2, wasDown},
		"a blip":              {func(w *world, n *Node) { n.Fail(w.clock.Now()); n.Start(at(12*second + 1)) }, 18*second + second/2, wasHealthy},
		"a hold file":         {func(_ *world, n *Node) { n.Hold(process.ReasonHoldFile) }, second / 2, "Held/HoldFile failures=0 busy=false"},
		"a hold that is over": {func(_ *world, n *Node) { n.Hold(process.ReasonHoldFile); n.Untell() }, 18*second + second/2, wasHealthy},
		"trouble": {
			func(_ *world, n *Node) { n.Tell(unknown(process.ReasonNodeDiskFull)) }, second / 2, "Unknown/NodeDiskFull failures=0 busy=false",
		},
		// The lock has expired after 17 s.
		"a recovery": {func(w *world, n *Node) { n.Seize(w.clock.Now(), "x", 5*second); n.Fail(w.clock.Now()) }, 6*second + second/2, wasDown},
		"a recovery that helps": {
			func(w *world, n *Node) {
				n.Seize(w.clock.Now(), "x", 5*second)
				n.Fail(w.clock.Now())
				n.Start(w.clock.Now().Add(4 * second))
			}, 18*second + second/2, wasHealthy,
		},
		// One that is down for longer than a minute is not excused any more. The first look is after 12 s.
		"a recovery that takes long": {
			func(w *world, n *Node) { n.Seize(w.clock.Now(), "x", time.Hour); n.Fail(w.clock.Now()) }, 60*second + second/2,
			"Unhealthy/CheckFailed failures=1 busy=false",
		},
		"its end": {
			func(w *world, n *Node) {
				w.Expect(w.service.Cancel(w.t.Context(), w.server.Ledger()[0].CommandID, ID(0))).To(Succeed())
				n.Fail(w.clock.Now())
			}, 0, "Cancelled",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			script, comment, reader := halfAMinute()(w.WithT, noon)
			command := w.send(runcommand.ShellScript(script, 10*time.Minute), comment).ID
			w.clock.Step(11*second + second/2)
			test.happens(w, w.fleet.Nodes()[0])
			status := func() string {
				i, err := w.service.Result(t.Context(), command, ID(0))
				w.Expect(err).NotTo(HaveOccurred())
				if i.Output == "" {
					return string(i.Status)
				}
				return reader(i.Output)
			}
			if test.ends > 0 {
				w.clock.Step(test.ends - 1)
				w.Expect(status()).To(Equal(inProgress))
				w.clock.Step(1)
			}
			w.Expect(status()).To(Equal(test.want))
			w.Expect(w.fleet.Nodes()[0].Watched(w.clock.Now())).To(BeFalse())
		})
	}
}

// TestWatchGoesDownWithItsNode and runs again when the agent does, as a command that was interrupted.
func TestWatchGoesDownWithItsNode(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	read := w.sendScript(halfAMinute())
	w.clock.Step(10 * second)
	n.GoDown(w.clock.Now(), Boot{Takes: 30 * second, Starts: true})
	w.fleet.Connect(w.clock.Now())
	w.Expect(n.Watched(w.clock.Now())).To(BeFalse())
	w.Expect(read(25 * second)).To(Equal(inProgress))
	w.Expect(read(5 * second)).To(Equal(inProgress))
	w.fleet.Connect(w.clock.Now())
	w.Expect(n.Watched(w.clock.Now())).To(BeTrue())
	w.Expect(read(30 * second)).To(Equal(wasHealthy))
}

func TestSecondWatchIsBusy(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	first := w.sendScript(halfAMinute())
	w.Expect(w.sendScript(halfAMinute())(0)).To(Equal(wasBusy))
	w.Expect(w.sendScript(probe(byFile()))(5 * second)).To(Equal("Healthy/CheckPassed"))
	n.Fail(w.clock.Now())
	w.Expect(w.sendScript(halfAMinute())(0)).To(Equal("Unhealthy/CheckFailed failures=1 busy=false"))
	w.Expect(first(2 * second)).To(Equal(wasDown))
	n.Start(w.clock.Now())
	third := w.sendScript(halfAMinute())
	w.Expect(third(0)).To(Equal(inProgress), "the place is free")
	w.Expect(w.service.Cancel(w.t.Context(), w.server.Ledger()[4].CommandID, ID(0))).To(Succeed())
	w.Expect(w.sendScript(halfAMinute())(0)).To(Equal(inProgress), "of one that was killed too")
}

// TestWatchAndRecovery has a recovery of another policy restart the process, which then fails again.
func TestWatchAndRecovery(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	n.SetStep(Step{Takes: 6 * second, Helps: true, HelpsAfter: 5 * second, FailsAfter: 12 * second})
	read := w.sendScript(halfAMinute())
	w.clock.Step(3 * second)
	n.Fail(w.clock.Now())
	w.Expect(w.sendScript(recover("restart"))(6 * second)).To(HavePrefix("Recovered/"))
	w.Expect(read(10*second)).To(Equal(inProgress), "that was no failure")
	w.Expect(read(3 * second)).To(Equal(wasDown))
	w.Expect(w.fleet.Ledger.Most()).To(Equal(1))
}

// TestWatchOfAMuteNode gives its place back although nobody hears of its end.
func TestWatchOfAMuteNode(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.Start(m.now)
	m.SetAgent(Mute)
	_, o := m.begin(halfAMinute())
	g.Expect(o.NoAnswer).To(BeTrue())
	m.SetAgent(Answering)
	m.Fail(at(10 * second))
	m.Start(at(20 * second))
	g.Expect(m.Watched(at(11*second - 1))).To(BeTrue())
	g.Expect(m.Watched(at(11 * second))).To(BeFalse())
	m.now = at(25 * second)
	answer, _ := m.begin(probe(byFile()))
	g.Expect(answer).To(Equal("Healthy/CheckPassed"))
	g.Expect(m.Watched(m.now)).To(BeFalse())
}

// incidents is a random course of things that happen to a node within two minutes.
func (c chance) incidents() []func(n *Node) {
	var all []func(n *Node)
	now := noon
	for range 1 + c.IntN(6) {
		now = now.Add(c.seconds(20) + time.Duration(c.IntN(3))*second/2)
		what, when, long := c.IntN(5), now, c.seconds(20)
		all = append(all, func(n *Node) {
			switch what {
			case 0, 1:
				n.Fail(when)
			case 2, 3:
				n.Start(when)
			default:
				n.Seize(when, "x", long)
			}
		})
	}
	return all
}

// TestWatchSkipsNothing compares the forecast, which leaves out what it need not look at, with all looks.
func TestWatchSkipsNothing(t *testing.T) {
	ends := map[v1alpha1.Health]int{}
	for seed := range uint64(500) {
		g, m, c := NewWithT(t), newModel(t), chance{rand.New(rand.NewPCG(seed, 0))}
		m.Start(m.now)
		m.SetLookTakes(time.Duration(c.IntN(4)) * 300 * time.Millisecond)
		for _, happens := range c.incidents() {
			happens(m.Node)
		}
		_, _ = m.begin(watchOf(byFile(), 30*second+c.seconds(90), int32(1+c.IntN(3))))
		if m.watch == nil {
			continue
		}
		each := *m.watch
		for !each.look() {
		}
		end := m.watch.end()
		g.Expect(end.now).To(Equal(each.now), "seed %d", seed)
		g.Expect(end.verdict).To(Equal(each.verdict), "seed %d", seed)
		g.Expect(end.failures).To(Equal(each.failures), "seed %d", seed)
		ends[end.verdict.Health]++
	}
	g := NewWithT(t)
	g.Expect(ends).To(HaveKeyWithValue(v1alpha1.HealthHealthy, BeNumerically(">", 50)))
	g.Expect(ends).To(HaveKeyWithValue(v1alpha1.HealthUnhealthy, BeNumerically(">", 50)))
}

// TestWatchDoesNotCareWhenItIsTold compares one that knows from its start what will happen with one that is told of each thing
// at its time, while other scripts run on the node.
func TestWatchDoesNotCareWhenItIsTold(t *testing.T) {
	for seed := range uint64(50) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		type failure struct {
			at   time.Duration
			fail bool
		}
		var course []failure
		for now := time.Duration(0); now < 100*second; now += time.Duration(1+c.IntN(40)) * second / 2 {
			course = append(course, failure{now + 1, c.IntN(2) == 0})
		}
		apply := func(n *Node, f failure) {
			if f.fail {
				n.Fail(at(f.at))
			} else {
				n.Start(at(f.at))
			}
		}
		script := watchOf(byFile(), 90*second, 1+int32(seed%3))

		knowing, told := newWorld(t, 1), newWorld(t, 1)
		for _, f := range course {
			apply(knowing.fleet.Nodes()[0], f)
		}
		_, _ = knowing.sendScript(script), told.sendScript(script)
		for _, f := range course {
			told.clock.SetTime(at(f.at))
			apply(told.fleet.Nodes()[0], f)
			if c.IntN(3) == 0 {
				_ = told.sendScript(probe(byFile()))
			}
		}
		knowing.clock.SetTime(at(5 * time.Minute))
		told.clock.SetTime(at(5 * time.Minute))
		want, got := knowing.server.Ledger()[0], told.server.Ledger()[0]
		NewWithT(t).Expect(got.End).To(Equal(want.End), "seed %d: %v", seed, course)
		NewWithT(t).Expect(got.ExitCode).To(Equal(want.ExitCode), "seed %d", seed)
	}
}
