// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// condition is a condition of the policy as "True/Probing".
func (w *world) condition(kind string) string {
	c := meta.FindStatusCondition(w.policy().Status.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

// results are the results of the Remediations, in the order of their sequence numbers.
func (w *world) results() []v1alpha1.Result {
	list := w.list()
	results := make([]v1alpha1.Result, len(list))
	for i := range list {
		results[list[i].Spec.Sequence-1] = decide.ResultOf(&list[i])
	}
	return results
}

// blocked is why the n-th instance is not being recovered.
func (w *world) blocked(n int) *v1alpha1.Blocked {
	for _, instance := range w.policy().Status.Instances {
		if string(instance.InstanceID) == id(n) {
			return instance.Blocked
		}
	}
	return nil
}

var _ = Describe("A healthy fleet", func() {
	It("reads as in progress until the first round, and then as healthy", func() {
		w := newWorld(3)
		w.apply()
		Expect(w.policy().Status.ObservedGeneration).To(BeEquivalentTo(-1), "nobody has looked yet")

		w.reconcile(w.replicas[0].policies, w.key())
		Expect(w.condition(v1alpha1.ConditionReconciling)).To(Equal("True/FirstRound"))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("Unknown/FirstRound"))

		w.pass()
		Expect(w.condition(v1alpha1.ConditionReconciling)).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("True/Allowed"))
		status := w.policy().Status
		Expect(*status.Targets).To(BeEquivalentTo(3))
		Expect(*status.Healthy).To(BeEquivalentTo(3))
		Expect(status.Instances).To(BeEmpty())
		Expect(status.Summary).To(BeEmpty())
		Expect(status.Account).To(Equal(location.Account))
		Expect(status.Region).To(Equal(location.Region))
	})

	It("costs no status writes but one in five minutes", func() {
		w := newWorld(3)
		w.apply()
		w.pass()
		version := w.policy().ResourceVersion
		for range 9 {
			w.leap(30 * time.Second)
		}
		Expect(w.policy().ResourceVersion).To(Equal(version))
		w.leap(30 * time.Second)
		Expect(w.policy().ResourceVersion).NotTo(Equal(version))
	})

	It("says so when the policy matches nothing", func() {
		w := newWorld(0)
		w.apply()
		w.pass()
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("Unknown/NoTargets"))
		Expect(*w.policy().Status.Targets).To(BeZero())
	})

	It("is late when nothing is judged, and says so", func() {
		w := newWorld(1)
		w.apply()
		w.pass()
		w.clock.Step(10 * time.Minute)
		w.reconcile(w.replicas[0].policies, w.key())
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("False/ProbesLate"))
		w.pass()
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
	})
})

var _ = Describe("A process that goes down", func() {
	It("is detected by a failed probe and its confirmation, and recovered with one command", func() {
		w := newWorld(10)
		w.apply()
		w.pass()
		w.set(4, down)
		w.advance(31 * time.Second)
		Expect(w.list()).To(BeEmpty(), "one failed probe is not enough")
		w.server.ResetCalls()

		w.advance(5 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
		Expect(w.server.Calls()["SendCommand"]).To(Equal(2), "the confirming probe and the recovery")
		Expect(w.recoveries()).To(HaveLen(1))

		r := w.list()[0]
		Expect(r.Labels).To(HaveKeyWithValue(v1alpha1.LabelPolicy, "httpd"))
		Expect(r.OwnerReferences).To(BeEmpty())
		Expect(r.Finalizers).To(BeEmpty())
		Expect(r.Spec.InstanceID).To(BeEquivalentTo(id(4)))
		Expect(r.Spec.Account).To(Equal(location.Account))
		Expect(r.Spec.Region).To(Equal(location.Region))
		Expect(r.Spec.Detection.Reason).To(Equal("ProcessNotRunning"))
		Expect(r.Spec.Detection.Time.Sub(r.Spec.Detection.FirstFailureTime.Time)).To(Equal(5 * time.Second))
		Expect(r.Status.Commands).To(HaveLen(1))
		Expect(r.Status.Commands[0].Purpose).To(Equal(v1alpha1.CommandPurposeRun))
		Expect(r.Status.Commands[0].CommandID).To(Equal(w.recoveries()[0].CommandID))
		Expect(*r.Status.ExitCode).To(BeZero())
		Expect(r.Status.Output).To(Equal("output of the step"))

		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
		Expect(w.policy().Status.LastRemediationTime).NotTo(BeNil())
		Expect(w.policy().Status.Opening).To(BeEmpty())
	})

	It("is not restarted when it is healthy again before the node acts", func() {
		w := newWorld(1)
		w.apply()
		w.pass()
		w.set(0, down)
		w.advance(31 * time.Second)
		// The confirming probe finds it down, and right after it the process comes back by itself.
		w.confirm()
		w.set(0, up)
		w.pass()
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultNotNeeded}))
		Expect(w.nodes[id(0)].steps).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
	})

	It("is left alone when the node says hands off at the last moment", func() {
		w := newWorld(1)
		w.apply()
		w.pass()
		w.set(0, down)
		w.advance(31 * time.Second)
		w.confirm()
		w.set(0, func(n *node) { n.held = true })
		w.pass()
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultWithheld}))
		Expect(w.nodes[id(0)].steps).To(BeEmpty())
		w.advance(31 * time.Second)
		Expect(w.policy().Status.Summary).To(Equal([]v1alpha1.ReasonCount{{Reason: "HoldFile", Count: 1}}))
	})

	It("is detected on nine nodes without delay when the tenth does not answer", func() {
		w := newWorld(10)
		w.apply(together, evenAll)
		w.pass()
		for n := range 9 {
			w.set(n, down)
		}
		w.set(9, silent)
		w.advance(31 * time.Second)
		Expect(w.list()).To(BeEmpty())
		w.advance(5 * time.Second)
		Expect(w.recoveries()).To(HaveLen(9))
		Expect(*w.policy().Status.Healthy).To(BeEquivalentTo(10), "the tenth counts as it was until the round is over")
		w.advance(20 * time.Second)
		Expect(w.policy().Status.Summary).To(Equal([]v1alpha1.ReasonCount{{Reason: ReasonNoAnswer, Count: 1}}))
	})

	It("is probed less often when rounds take longer than the period", func() {
		w := newWorld(2)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.Targets = v1alpha1.Targets{InstanceIDs: []v1alpha1.InstanceID{v1alpha1.InstanceID(id(0)), v1alpha1.InstanceID(id(1))}}
			s.Probe = v1alpha1.ProbeSpec{PeriodSeconds: 10}
		})
		w.pass()
		w.set(1, silent)
		w.server.ResetCalls()
		w.advance(60 * time.Second)
		Expect(w.server.Calls()["SendCommand"]).To(BeNumerically("<=", 6))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
	})
})
