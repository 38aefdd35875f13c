// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	recovered   = v1alpha1.ResultRecovered
	ineffective = v1alpha1.ResultIneffective
)

var _ = Describe("Limits", func() {
	It("climb the ladder with growing pauses, stop after limits.attempts, and say until when", func() {
		w := newWorld(1)
		w.apply()
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(8 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{ineffective}))
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedBackoff))

		for range 12 {
			w.leap(5 * time.Second)
		}
		Expect(w.results()).To(HaveLen(2), "a minute later")
		for range 23 {
			w.leap(5 * time.Second)
		}
		Expect(w.results()).To(HaveLen(2), "the pause has doubled")
		w.advance(10 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{ineffective, ineffective, ineffective}))
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"one", "two", "three"}))
		for _, r := range w.list() {
			Expect(r.Spec.Attempt).To(BeEquivalentTo(r.Spec.Sequence))
		}

		first := w.recoveries()[0].Start
		w.leap(10 * time.Minute)
		w.pass()
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedAttemptsExhausted))
		Expect(w.blocked(0).Until.Time).To(BeTemporally("~", first.Add(time.Hour), time.Second))
		for range 20 {
			w.leap(2 * time.Minute)
		}
		Expect(w.recoveries()).To(HaveLen(3))
		w.clock.SetTime(first.Add(time.Hour))
		w.advance(40 * time.Second)
		Expect(w.recoveries()).To(HaveLen(4), "when the first attempt has left the window")
	})

	It("hold for a process that falls again after each recovery, and when the policy is created again", func() {
		w := newWorld(1)
		w.apply()
		fall := func(d time.Duration) {
			for range int(d / (5 * time.Second)) {
				w.set(0, down)
				w.leap(5 * time.Second)
			}
		}
		fall(20 * time.Minute)
		Expect(w.recoveries()).To(HaveLen(3))
		Expect(w.results()).To(HaveEach(recovered))

		Expect(cluster.Client.Delete(w.ctx, w.policy())).To(Succeed())
		w.pass()
		Expect(w.list()).To(HaveLen(3), "the record survives the policy")
		w.apply()
		fall(10 * time.Minute)
		Expect(w.recoveries()).To(HaveLen(3))
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedAttemptsExhausted))
	})

	It("recover no more than maxConcurrent at a time", func() {
		w := newWorld(6)
		w.apply(evenAll, func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxConcurrent = new(intstr.FromInt32(2)) })
		for n := range 6 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(10 * time.Second)
		Expect(w.recoveries()).To(HaveLen(2), "attempts that did not help keep their places through the backoff")
		Expect(w.policy().Status.Instances).To(HaveLen(6))
		reasons := map[string]int{}
		for n := range 6 {
			reasons[w.blocked(n).Reason]++
		}
		Expect(reasons).To(Equal(map[string]int{v1alpha1.BlockedBackoff: 2, v1alpha1.BlockedMaxConcurrent: 4}))
		w.advance(60 * time.Second)
		Expect(w.recoveries()).To(HaveLen(4))
	})

	It("stop a recovery that never helps, over the whole fleet, until the spec changes", func() {
		w := newWorld(12)
		w.apply(together, evenAll)
		for n := range 12 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		for range 60 {
			w.leap(5 * time.Second)
		}
		Expect(w.recoveries()).To(HaveLen(5))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/RecoveryIneffective"))

		for n := range 12 {
			w.set(n, func(n *node) { n.helps = true })
		}
		w.edit(func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.Steps[0].Command = "better" })
		for range 60 {
			w.leap(5 * time.Second)
		}
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("True/Allowed"))
	})

	It("hold over two replicas that both believe to be the leader", func() {
		w := newWorld(4)
		w.addReplica()
		w.apply(evenAll, func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxConcurrent = new(intstr.FromInt32(1)) })
		for n := range 4 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(30 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.list()).To(HaveLen(1))
	})

	It("start at the first step again after the process was stable", func() {
		w := newWorld(1)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.StableSeconds = 100 })
		w.set(0, down)
		w.advance(10 * time.Second)
		w.leap(90 * time.Second)
		w.set(0, down)
		w.leap(30 * time.Second)
		w.advance(6 * time.Second)
		w.set(0, down)
		w.leap(60 * time.Second)
		w.advance(6 * time.Second)
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"one", "one", "two"}))
	})

	It("keep history.limit Remediations, but none that still counts goes", func() {
		w := newWorld(3)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.History.Limit, s.Limits.StopAfterIneffective = 1, 1
			s.Limits.MaxConcurrent = new(intstr.FromInt32(3))
		})
		for n := range 3 {
			w.set(n, down)
		}
		w.advance(10 * time.Second)
		Expect(w.list()).To(HaveLen(3))
		w.leap(time.Hour)
		w.pass()
		Expect(w.list()).To(HaveLen(1))
	})

	It("let a Remediation go after its time to live, with or without its policy", func() {
		w := newWorld(1)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.History.TTLSeconds = 10800 })
		w.set(0, down)
		w.advance(10 * time.Second)
		Expect(cluster.Client.Delete(w.ctx, w.policy())).To(Succeed())
		w.leap(3*time.Hour - time.Minute)
		Expect(w.list()).To(HaveLen(1))
		w.leap(time.Minute)
		Expect(w.list()).To(BeEmpty())
	})
})

var _ = Describe("A change of mind", func() {
	// opened lets a Remediation be opened, without it being sent yet.
	opened := func(w *world) *v1alpha1.Remediation {
		w.apply()
		w.pass()
		w.set(0, down)
		w.leap(30 * time.Second)
		w.confirm()
		w.reconcile(w.replicas[0].policies, w.key())
		list := w.list()
		Expect(list).To(HaveLen(1))
		Expect(w.recoveries()).To(BeEmpty())
		return &list[0]
	}
	It("by suspending withdraws what was not sent, and ends probing", func() {
		w := newWorld(1)
		opened(w)
		w.edit(func(s *v1alpha1.RemediationPolicySpec) { s.Suspend = true })
		w.pass()
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultWithdrawn}))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Suspended"))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/Suspended"))
		Expect(w.policy().Status.Instances).To(BeEmpty(), "nobody knows any more")
		Expect(w.policy().Status.Unhealthy).To(BeNil())
		w.server.ResetCalls()
		w.advance(60 * time.Second)
		Expect(w.server.Calls()).NotTo(HaveKey("SendCommand"))
		Expect(w.recoveries()).To(BeEmpty())
	})
	It("by editing withdraws what was not sent, and goes on with the new spec", func() {
		w := newWorld(1)
		opened(w)
		w.edit(func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.Steps[0].Command = "other" })
		w.pass()
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultWithdrawn}))
		w.advance(70 * time.Second)
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"other"}))
	})
	It("by deleting the policy withdraws what was not sent", func() {
		w := newWorld(1)
		opened(w)
		Expect(cluster.Client.Delete(w.ctx, w.policy())).To(Succeed())
		w.pass()
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultWithdrawn}))
		Expect(w.recoveries()).To(BeEmpty())
	})
	It("by deleting the Remediation withdraws it, and lets it go", func() {
		w := newWorld(1)
		Expect(cluster.Client.Delete(w.ctx, opened(w))).To(Succeed())
		w.reconcile(w.replicas[0].remediations, client.ObjectKey{Namespace: w.namespace, Name: w.list()[0].Name})
		Expect(w.list()).To(BeEmpty())
		Expect(w.recoveries()).To(BeEmpty())
	})
	It("comes too late when the controller was away until notAfter", func() {
		w := newWorld(1)
		opened(w)
		w.clock.Step(sendWindow + time.Second)
		w.pass()
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultWithdrawn}))
		Expect(w.recoveries()).To(BeEmpty())
	})
})

var _ = Describe("An excluded instance", func() {
	It("is never touched, not even by a probe", func() {
		w := newWorld(3)
		Expect(w.server.AddInstance(scripted(w, 7, map[string]string{"Role": "web", "Maintenance": "true"}))).To(Succeed())
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.Targets.Exclude = &v1alpha1.Exclude{
				InstanceIDs: []v1alpha1.InstanceID{v1alpha1.InstanceID(id(1))},
				Tags:        []v1alpha1.Tag{{Key: "Maintenance", Values: []string{"true"}}},
			}
		})
		w.set(1, down)
		w.set(7, down)
		w.advance(40 * time.Second)
		Expect(*w.policy().Status.Targets).To(BeEquivalentTo(2))
		for _, entry := range w.server.Ledger() {
			Expect(entry.InstanceID).NotTo(BeElementOf(id(1), id(7)))
		}
	})
})
