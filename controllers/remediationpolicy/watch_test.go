// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// newWatched is a simulation of a policy that has its nodes watched, which has settled.
func newWatched(t *testing.T, nodes int) *simulation {
	t.Helper()
	return newWatchedIn(t, nodes, ssmlocal.RampUpOnAcknowledgement)
}

func newWatchedIn(t *testing.T, nodes int, rampUp ssmlocal.RampUp) *simulation {
	t.Helper()
	s := newSimulation(t, setting{seed: 1, workers: 1, rampUp: rampUp})
	s.addNodes("web", nodes)
	s.create("web", v1alpha1.RemediationPolicySpec{
		Targets:  withRole("web"),
		Process:  v1alpha1.ProcessSpec{Name: "httpd"},
		Probe:    v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeWatch},
		Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "start"}}},
	})
	s.newRunner()
	s.run(20 * time.Second)
	return s
}

// opened is how many Remediations there are.
func (s *simulation) opened() int {
	s.t.Helper()
	list := &v1alpha1.RemediationList{}
	s.must(cluster.Client.List(s.ctx, list, client.InNamespace(s.namespace)))
	return len(list.Items)
}

// took are the times from a failure of the process of a node to its recovery, by the Remediations.
func (s *simulation) took(failed map[string]time.Time) []time.Duration {
	s.t.Helper()
	list := &v1alpha1.RemediationList{}
	s.must(cluster.Client.List(s.ctx, list))
	var took []time.Duration
	for _, r := range list.Items {
		at, ours := failed[string(r.Spec.InstanceID)]
		if ours && r.Namespace == s.namespace && r.Status.CompletionTime != nil {
			took = append(took, r.Status.CompletionTime.Sub(at))
		}
	}
	slices.Sort(took)
	return took
}

func TestAWatchTellsOfAProcessThatEndsWithinSeconds(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 100)
	for _, m := range s.nodes {
		g.Expect(m.Watched(s.clock.Now())).To(BeTrue())
	}
	failed := map[string]time.Time{}
	for n := range 20 {
		m := s.nodes[(n*37)%100]
		failed[m.ID()] = s.clock.Now()
		m.Fail(s.clock.Now())
		s.run(41 * time.Second)
	}
	took := s.took(failed)
	g.Expect(took).To(HaveLen(20))
	g.Expect(took[10]).To(BeNumerically("<=", 5*time.Second), "%v", took)
	g.Expect(took[19]).To(BeNumerically("<=", 40*time.Second), "one that dies while nobody watches is found by the next round")
	for _, m := range s.nodes {
		g.Expect(m.Watched(s.clock.Now())).To(BeTrue())
	}
}

func TestAWatchedFleetCostsLessThanACallASecond(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 1000)
	s.server.ResetCalls()
	const minutes = 30
	s.run(minutes * time.Minute)
	all := 0
	for _, n := range s.server.Calls() {
		all += n
	}
	g.Expect(all).To(BeNumerically("<", minutes*60), "%v", s.server.Calls())
	g.Expect(s.server.Calls()["SendCommand"]).To(BeNumerically("<=", 20*(minutes/5+1)))
}

func TestWatchesGiveWayToIntervalsWhereTheyReachTheNodesInTurn(t *testing.T) {
	g := NewWithT(t)
	s := newWatchedIn(t, 100, ssmlocal.RampUpOnCompletion)
	s.run(time.Minute)
	policy := s.journal.policy(s.key("web"))
	g.Expect(deref(policy.Status.Healthy)).To(Equal(100), "that a watch was not delivered says nothing about a node")
	ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
	g.Expect(ready.Status).To(Equal(metav1.ConditionTrue))
	g.Expect(ready.Message).To(ContainSubstring("without watching them"))

	failed := map[string]time.Time{}
	for n := range 5 {
		m := s.nodes[n*20+7]
		failed[m.ID()] = s.clock.Now()
		m.Fail(s.clock.Now())
		s.run(time.Minute)
	}
	took := s.took(failed)
	g.Expect(took).To(HaveLen(5))
	g.Expect(took[4]).To(BeNumerically("<=", 45*time.Second), "by the rounds of every period")
	s.server.ResetCalls()
	s.run(20 * time.Minute)
	g.Expect(s.server.Calls()["SendCommand"]).To(BeNumerically("<=", 41+4), "one to the tags each period, once the first watches have ended")
}

func TestANodeIsWatchedByOnePolicyOnly(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 10)
	s.create("other", v1alpha1.RemediationPolicySpec{
		Targets:  withRole("web"),
		Process:  v1alpha1.ProcessSpec{Name: "httpd"},
		Mode:     v1alpha1.ModeObserve,
		Probe:    v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeWatch},
		Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "start"}}},
	})
	s.run(2 * time.Minute)
	other := s.journal.policy(s.key("other"))
	g.Expect(deref(other.Status.Healthy)).To(Equal(10))
	fleet := s.runners[0].policies.fleets.byPolicy[s.key("other")]
	g.Expect(fleet.watched()).To(BeEmpty())
	g.Expect(s.clock.Since(fleet.judgeTime)).To(BeNumerically("<=", time.Minute), "it falls back to a round every period")

	s.change("web", func(p *v1alpha1.RemediationPolicy) { p.Spec.Suspend = true })
	s.run(3 * time.Minute)
	g.Expect(fleet.watched()).To(HaveLen(10), "the other one is free to watch")
}

func TestAWatchThatIsLostIsUnknownAndRenewed(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 10)
	s.server.StopAgent(s.nodes[3].ID(), ssmlocal.ScriptsDie)
	fleet := s.runners[0].policies.fleets.byPolicy[s.key("web")]
	s.run(fleet.watchEnd.Sub(s.clock.Now()) + watchStraggle + 10*time.Second)
	g.Expect(s.nodes[3].Watched(s.clock.Now())).To(BeFalse())
	for n, m := range s.nodes {
		g.Expect(m.Watched(s.clock.Now())).To(Equal(n != 3), "the others are watched again soon after their epoch, %d", n)
	}
	s.run(3 * time.Minute)
	policy := s.journal.policy(s.key("web"))
	g.Expect(deref(policy.Status.Healthy)).To(Equal(9))
	g.Expect(deref(policy.Status.Unknown)).To(Equal(1))
	s.server.StartAgent(s.nodes[3].ID())
	s.run(2 * time.Minute)
	policy = s.journal.policy(s.key("web"))
	g.Expect(deref(policy.Status.Healthy)).To(Equal(10))
	g.Expect(s.nodes[3].Watched(s.clock.Now())).To(BeTrue())
}

func TestManyThatGoDownTogetherOpenTheBreakerBeforeMoreThanAFewAreTouched(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 100)
	for n := range 60 {
		s.nodes[n].Fail(s.clock.Now().Add(time.Duration(n) * 30 * time.Millisecond))
	}
	s.run(time.Minute)
	policy := s.journal.policy(s.key("web"))
	g.Expect(policy.Status.Breaker).NotTo(BeNil())
	g.Expect(s.opened()).To(BeNumerically("<=", leastTold))
}

func TestASuspendedPolicyLeavesNoWatchBehind(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 60)
	s.change("web", func(p *v1alpha1.RemediationPolicy) { p.Spec.Suspend = true })
	s.run(10 * time.Second)
	for _, m := range s.nodes {
		g.Expect(m.Watched(s.clock.Now())).To(BeFalse())
	}
	g.Expect(s.server.Calls()["CancelCommand"]).To(Equal(2))
}

// TestOneThatFailedBeforeDoesNotShortenTheWaitForManyThatGoDownTogether has one go down four seconds before the first of the others.
func TestOneThatFailedBeforeDoesNotShortenTheWaitForManyThatGoDownTogether(t *testing.T) {
	g := NewWithT(t)
	begin := time.Unix(0, 0)
	states := map[string]decide.State{"before": {Failures: 1, FirstFailure: begin}}
	for n := range leastTold + 2 {
		states[fmt.Sprint(n)] = decide.State{Failures: 1, FirstFailure: begin.Add(4*time.Second + time.Duration(n)*time.Millisecond)}
	}
	s := &scope{fleet: &fleet{states: states, watches: []*round{{instanceIDs: []string{"watched"}}}}}
	s.now = begin.Add(4*time.Second + watchSettle)
	g.Expect(s.yetToTell()).To(HaveKey("watched"))
	s.now = s.now.Add(10 * time.Millisecond)
	g.Expect(s.yetToTell()).To(BeEmpty())
}

// TestNodesThatWatchesDoNotReachAreTriedLessAndLessOften has a fleet that is too small to tell that watches go in turn.
func TestNodesThatWatchesDoNotReachAreTriedLessAndLessOften(t *testing.T) {
	g := NewWithT(t)
	s := newWatchedIn(t, leastInTurn-2, ssmlocal.RampUpOnCompletion)
	s.run(30 * time.Minute)
	fleet := s.runners[0].policies.fleets.byPolicy[s.key("web")]
	last := s.nodes[leastInTurn-3].ID()
	g.Expect(fleet.unreached[last]).To(BeNumerically("~", 4, 1))
	g.Expect(fleet.busyUntil[last]).To(BeTemporally(">", s.clock.Now()))
	g.Expect(fleet.unreached).NotTo(HaveKey(s.nodes[0].ID()), "one that is reached is not counted")
	g.Expect(deref(s.journal.policy(s.key("web")).Status.Healthy)).To(Equal(leastInTurn - 2))
}

// TestATrickleOfFailuresIsRecovered has one node after the other go down beside some that stay down: none of these is waited for.
func TestATrickleOfFailuresIsRecovered(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 100)
	s.change("web", func(p *v1alpha1.RemediationPolicy) { p.Spec.Limits.Attempts = 1 })
	s.run(20 * time.Second)
	for _, m := range s.nodes[:leastTold+1] {
		m.behave(simulated.Step{})
		m.Fail(s.clock.Now())
	}
	s.run(2 * time.Minute)
	g.Expect(deref(s.journal.policy(s.key("web")).Status.Unhealthy)).To(Equal(leastTold + 1))
	failed := map[string]time.Time{}
	for _, m := range s.nodes[50:70] {
		failed[m.ID()] = s.clock.Now()
		m.Fail(s.clock.Now())
		s.run(3 * time.Second)
	}
	s.run(15 * time.Second)
	took := s.took(failed)
	g.Expect(took).To(HaveLen(20))
	g.Expect(took[19]).To(BeNumerically("<=", 12*time.Second), "%v", took)
}

func TestLastBurst(t *testing.T) {
	at := func(seconds ...int) (times []time.Time) {
		for _, n := range seconds {
			times = append(times, time.Unix(int64(n), 0))
		}
		return times
	}
	for name, tt := range map[string]struct {
		times []time.Time
		first int64
		count int
	}{
		"one":               {at(7), 7, 1},
		"all":               {at(9, 1, 5), 1, 3},
		"a gap":             {at(20, 1, 5, 16), 16, 2},
		"all at once":       {at(3, 3, 3), 3, 3},
		"a gap to the last": {at(1, 2, 3, 30), 30, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			burst := lastBurst(tt.times, 5*time.Second)
			g.Expect(burst).To(HaveLen(tt.count))
			g.Expect(burst[0].Unix()).To(Equal(tt.first))
		})
	}
	NewWithT(t).Expect(lastBurst(nil, time.Second)).To(BeEmpty())
}

func TestAWatchedNodeOfWhichNothingIsKnownIsProbed(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 10)
	fleet := s.runners[0].policies.fleets.byPolicy[s.key("web")]
	id := s.nodes[4].ID()
	o := unknown(ReasonNoAnswer, "")
	o.ProbeTime, o.ReadTime = s.clock.Now(), s.clock.Now()
	fleet.states[id] = fleet.states[id].Observe(o, s.journal.policy(s.key("web")).Spec.Probe)
	g.Expect(fleet.states[id].Health).To(Equal(v1alpha1.HealthUnknown))
	g.Expect(fleet.watched()).To(HaveKey(id))
	s.run(40 * time.Second)
	g.Expect(fleet.states[id].Health).To(Equal(v1alpha1.HealthHealthy))
	g.Expect(s.nodes[4].Watched(s.clock.Now())).To(BeTrue())
}

// TestAWatchThatCannotBeSentIsTriedAgainLater has the tags of those that are excluded refused.
func TestAWatchThatCannotBeSentIsTriedAgainLater(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 10)
	s.change("web", func(p *v1alpha1.RemediationPolicy) {
		p.Spec.Targets.Exclude = &v1alpha1.Exclude{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{"db"}}}}
	})
	s.run(20 * time.Second)
	fleet := s.runners[0].policies.fleets.byPolicy[s.key("web")]
	g.Expect(fleet.watched()).To(HaveLen(10))
	fleet.watches = nil
	s.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == "DescribeInstanceInformation" {
			return ssmlocal.Fault{Code: "AccessDeniedException"}
		}
		return ssmlocal.Fault{}
	})
	s.server.ResetCalls()
	s.run(3 * time.Minute)
	g.Expect(s.server.Calls()["DescribeInstanceInformation"]).To(BeNumerically("<=", 20))
	s.server.SetFaults(nil)
	s.run(2 * time.Minute)
	g.Expect(fleet.watched()).To(HaveLen(10))
}

func TestFewNodesThatAreNotReachedDoNotEndWatching(t *testing.T) {
	g := NewWithT(t)
	s := newWatched(t, 3)
	fleet := s.runners[0].policies.fleets.byPolicy[s.key("web")]
	s.run(fleet.watchEnd.Sub(s.clock.Now()) - time.Second)
	for _, m := range s.nodes[1:] {
		m.connect(ssmlocal.ConnectionLost)
	}
	s.run(5 * time.Minute)
	g.Expect(fleet.intervalsUntil).To(BeZero())
	g.Expect(s.nodes[0].Watched(s.clock.Now())).To(BeTrue())
}
