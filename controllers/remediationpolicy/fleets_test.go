// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// health is how many are Healthy, Unhealthy, Held and Unknown, by the status.
func (w *world) health() [4]int {
	status := w.policy().Status
	return [4]int{deref(status.Healthy), deref(status.Unhealthy), deref(status.Held), deref(status.Unknown)}
}

// outcomes are the results of the Remediations of all instances.
func (w *world) outcomes() []v1alpha1.Result {
	var outcomes []v1alpha1.Result
	for _, r := range w.list() {
		outcomes = append(outcomes, decide.ResultOf(&r))
	}
	return outcomes
}

// rounds lets so many periods of 30 s pass, and returns the calls of SSM in that time.
func (w *world) rounds(n int) map[string]int {
	w.server.ResetCalls()
	w.advance(time.Duration(n) * 30 * time.Second)
	return w.server.Calls()
}

var _ = Describe("A fleet of many tagged nodes", func() {
	It("is probed with one command, and costs four calls a round while it is healthy", func() {
		w := newWorld(200)
		w.apply()
		w.advance(15 * time.Second)
		Expect(w.health()).To(Equal([4]int{200, 0, 0, 0}))
		Expect(w.rounds(20)).To(Equal(map[string]int{
			"SendCommand": 20, "ListCommands": 20, "ListCommandInvocations": 20, "DescribeInstanceInformation": 8,
		}), "the inventory of four pages is taken twice in ten minutes")
		Expect(w.health()).To(Equal([4]int{200, 0, 0, 0}))
	})

	It("has its failed nodes read, confirmed and recovered", func() {
		w := newWorld(200)
		w.apply()
		w.pass()
		w.set(17, down)
		w.set(190, down)
		w.advance(45 * time.Second)
		Expect(w.outcomes()).To(ConsistOf(recovered, recovered))
		Expect(w.recoveries()).To(HaveLen(2))
		Expect(w.health()).To(Equal([4]int{200, 0, 0, 0}))
	})

	It("is judged at the deadline of the round when some are offline, and these alone are Unknown", func() {
		w := newWorld(200)
		w.apply()
		w.pass()
		for n := 100; n < 115; n++ {
			w.server.SetConnection(id(n), ssmlocal.ConnectionLost)
		}
		w.server.SetConnection(id(150), ssmlocal.Undeliverable)
		w.set(3, down)
		w.advance(38 * time.Second)
		Expect(w.outcomes()).To(ConsistOf(recovered), "nobody waits for the offline ones to recover another")
		w.advance(20 * time.Second)
		Expect(w.health()).To(Equal([4]int{184, 0, 0, 16}))
		w.advance(90 * time.Second)
		Expect(w.health()).To(Equal([4]int{184, 0, 0, 16}))
		offline := 0
		for _, i := range w.policy().Status.Instances {
			if i.Reason == decide.ReasonNodeOffline {
				offline++
			}
		}
		Expect(offline).To(Equal(15), "the inventory was taken again")
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
		calls := w.rounds(4)
		Expect(calls["SendCommand"]).To(Equal(4))
		Expect(calls["ListCommands"]+calls["ListCommandInvocations"]).To(BeNumerically("<=", 4*8), "one page of Pending each round")

		for n := 100; n < 115; n++ {
			w.server.SetConnection(id(n), ssmlocal.Online)
		}
		w.server.SetConnection(id(150), ssmlocal.Online)
		w.advance(45 * time.Second)
		Expect(w.health()).To(Equal([4]int{200, 0, 0, 0}))
	})

	It("notices nodes that come and go by the counts", func() {
		w := newWorld(200)
		w.apply()
		w.advance(15 * time.Second)
		for n := 200; n < 203; n++ {
			Expect(w.server.AddInstance(scripted(w, n, map[string]string{"Role": "web"}))).To(Succeed())
		}
		w.set(201, down)
		w.server.RemoveInstance(id(7))
		w.advance(40 * time.Second)
		Expect(w.health()).To(Equal([4]int{202, 0, 0, 0}))
		Expect(w.outcomes()).To(ConsistOf(recovered))
	})

	It("notices one that has come in the place of another by what the command tells", func() {
		w := newWorld(200)
		w.apply()
		w.advance(15 * time.Second)
		Expect(w.server.AddInstance(scripted(w, 200, map[string]string{"Role": "web"}))).To(Succeed())
		w.set(200, down)
		w.server.RemoveInstance(id(7))
		w.advance(40 * time.Second)
		Expect(w.health()).To(Equal([4]int{200, 0, 0, 0}))
		Expect(w.outcomes()).To(ConsistOf(recovered))
	})

	It("is probed by ids when one command to the tags does not reach the nodes in time", func() {
		w := newWorld(0, func(o *ssmlocal.Options) { o.RampUp = ssmlocal.RampUpOnCompletion })
		w.slow = 6 * time.Second
		for n := range 300 {
			Expect(w.server.AddInstance(scripted(w, n, map[string]string{"Role": "web"}))).To(Succeed())
		}
		w.apply()
		w.advance(20 * time.Second)
		_ = w.server.Calls() // It runs what was due until now.
		w.slow = time.Second
		w.advance(2 * time.Second)
		Expect(w.policy().Status.Summary).To(HaveEach(HaveField("Reason", decide.ReasonNotProbed)),
			"that the command was slow says nothing about the nodes")
		w.advance(20 * time.Second)
		Expect(w.health()).To(Equal([4]int{300, 0, 0, 0}))
		Expect(w.rounds(2)["SendCommand"]).To(Equal(12))
		w.leap(time.Hour)
		w.advance(20 * time.Second)
		Expect(w.rounds(2)["SendCommand"]).To(Equal(2), "after an hour one command is tried again")
	})

	It("is probed by ids when some of its nodes are excluded", func() {
		w := newWorld(200)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.Targets.Exclude = &v1alpha1.Exclude{InstanceIDs: []v1alpha1.InstanceID{v1alpha1.InstanceID(id(9))}}
		})
		w.advance(60 * time.Second)
		Expect(w.health()).To(Equal([4]int{199, 0, 0, 0}))
		for _, e := range w.server.Ledger() {
			Expect(e.InstanceID).NotTo(Equal(id(9)))
		}
	})
})

var _ = Describe("A hundred nodes named by their ids", func() {
	It("cost at most six calls a round", func() {
		w := newWorld(100)
		w.apply(byIDs(100))
		w.advance(15 * time.Second)
		calls, all := w.rounds(10), 0
		for _, n := range calls {
			all += n
		}
		Expect(calls["SendCommand"]).To(Equal(20))
		Expect(all).To(BeNumerically("<=", 60))
		Expect(w.health()).To(Equal([4]int{100, 0, 0, 0}))
	})

	It("are heard although one of them is silent that AWS calls online", func() {
		w := newWorld(50, func(o *ssmlocal.Options) { o.PingLag = 5 * time.Minute })
		w.apply(byIDs(50))
		w.advance(15 * time.Second)
		w.server.StopAgent(id(0), ssmlocal.ScriptsGoOn)
		w.advance(40 * time.Second)
		Expect(w.health()).To(Equal([4]int{0, 0, 0, 50}), "it holds up the first wave of the command")
		w.set(30, down)
		w.advance(30 * time.Second)
		Expect(w.health()).To(Equal([4]int{43, 0, 0, 7}))
		Expect(w.outcomes()).To(ConsistOf(recovered))
		w.advance(60 * time.Second)
		Expect(w.health()).To(Equal([4]int{49, 0, 0, 1}))
		Expect(w.rounds(2)["SendCommand"]).To(Equal(4), "the silent one is asked by itself")
	})

	It("are heard although one of them falls silent while it is recovered", func() {
		w := newWorld(50, func(o *ssmlocal.Options) { o.PingLag = 5 * time.Minute })
		w.apply(byIDs(50))
		w.advance(15 * time.Second)
		w.set(0, func(n *node) { n.up, n.takes = false, time.Hour })
		w.advance(45 * time.Second)
		Expect(w.results()).To(ConsistOf(v1alpha1.ResultRunning))
		w.server.StopAgent(id(0), ssmlocal.ScriptsGoOn)
		w.advance(50 * time.Second)
		Expect(w.health()).To(Equal([4]int{49, 1, 0, 0}), "the recovery tells what becomes of it")
	})
})
