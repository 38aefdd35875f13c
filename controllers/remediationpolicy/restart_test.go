// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

var _ = Describe("A restarted controller", func() {
	It("does not read as a change of the policy", func() {
		w := newWorld(2)
		w.apply()
		w.pass()
		w.clock.Step(10 * time.Second)
		w.replicas = nil
		w.addReplica()
		w.reconcile(w.replicas[0].policies, w.key())
		Expect(w.condition(v1alpha1.ConditionReconciling)).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
	})

	It("knows at once that a recovery does not help", func() {
		w := newWorld(6)
		w.apply(together, evenAll)
		for n := range 6 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(10 * time.Second)
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/RecoveryIneffective"))
		w.replicas = nil
		w.addReplica()
		w.reconcile(w.replicas[0].policies, w.key())
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/RecoveryIneffective"))
	})

	It("keeps to the backoff and the ladder of an incident", func() {
		w := newWorld(1)
		w.apply()
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(8 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		w.replicas = nil
		w.addReplica()
		w.advance(20 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedBackoff))
		for range 12 {
			w.leap(5 * time.Second)
		}
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"one", "two"}))
	})
})

var _ = Describe("A quiet incident", func() {
	It("costs no status writes", func() {
		w := newWorld(1)
		w.apply()
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(8 * time.Second)
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedBackoff))
		version := w.policy().ResourceVersion
		w.advance(20 * time.Second)
		Expect(w.policy().ResourceVersion).To(Equal(version))
	})
})

var _ = Describe("Evidence", func() {
	It("from before an attempt is not acted upon again when somebody deletes its record", func() {
		w := newWorld(1)
		w.apply()
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(8 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		for _, r := range w.list() {
			Expect(cluster.Client.Delete(w.ctx, &r)).To(Succeed())
		}
		w.pass()
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.policy().Status.Summary[0].Reason).To(Equal("NotProbed"))
		w.leap(30 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1), "one failed probe is not enough")
		w.advance(6 * time.Second)
		Expect(w.recoveries()).To(HaveLen(2))
	})

	It("that is old is renewed first, and an instance that was excluded meanwhile is left alone", func() {
		w := newWorld(2)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.Probe.PeriodSeconds = 3600
			s.Limits.MaxConcurrent = new(intstr.FromInt32(1))
			s.Limits.BackoffSeconds, s.Limits.BackoffMaxSeconds = 120, 600
			s.Targets.Exclude = &v1alpha1.Exclude{Tags: []v1alpha1.Tag{{Key: "Maintenance", Values: []string{"true"}}}}
		})
		for n := range 2 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(8 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		waiting := 0
		if w.recoveries()[0].InstanceID == id(0) {
			waiting = 1
		}
		Expect(w.blocked(waiting).Reason).To(Equal(v1alpha1.BlockedMaxConcurrent))
		w.server.RemoveInstance(id(waiting))
		Expect(w.server.AddInstance(scripted(w, waiting, map[string]string{"Role": "web", "Maintenance": "true"}))).To(Succeed())
		w.set(waiting, down)
		executed := 0
		for _, entry := range w.server.Ledger() {
			if entry.InstanceID == id(waiting) {
				executed++
			}
		}
		for range 60 {
			w.leap(5 * time.Second)
		}
		for _, entry := range w.server.Ledger() {
			if entry.InstanceID == id(waiting) {
				executed--
			}
		}
		Expect(executed).To(BeZero(), "neither probed nor recovered since")
		Expect(len(w.recoveries())).To(BeNumerically(">=", 2), "the other one goes on")
	})
})

var _ = Describe("A record that cannot be written", func() {
	It("does not keep probing and the status from going on", func() {
		w := newWorld(1)
		w.apply()
		w.pass()
		w.replicas[0].policies.Client = refusing{cluster.Client}
		w.set(0, down)
		w.leap(30 * time.Second)
		w.advance(6 * time.Second)
		Expect(w.list()).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/OpeningFailed"))
		Expect(*w.policy().Status.Unhealthy).To(BeEquivalentTo(1))
		w.server.ResetCalls()
		w.leap(30 * time.Second)
		Expect(w.server.Calls()["SendCommand"]).To(Equal(1), "probing goes on")
		Expect(w.recoveries()).To(BeEmpty())
		w.set(0, up)
		w.leap(30 * time.Second)
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("True/Allowed"))
	})
})

// refusing is a client to which the API server says no when it creates something.
type refusing struct{ client.Client }

func (refusing) Create(context.Context, client.Object, ...client.CreateOption) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "remediations"}, "x", errors.New("exceeded quota"))
}
