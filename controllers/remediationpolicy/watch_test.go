// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
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
	s.nodes[3].connect(ssmlocal.ConnectionLost)
	s.run(8 * time.Minute)
	policy := s.journal.policy(s.key("web"))
	g.Expect(deref(policy.Status.Healthy)).To(Equal(9))
	g.Expect(deref(policy.Status.Unknown)).To(Equal(1))
	s.nodes[3].connect(ssmlocal.Online)
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
	list := &v1alpha1.RemediationList{}
	s.must(cluster.Client.List(s.ctx, list))
	opened := 0
	for _, r := range list.Items {
		if r.Namespace == s.namespace {
			opened++
		}
	}
	g.Expect(opened).To(BeNumerically("<=", leastTold))
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
