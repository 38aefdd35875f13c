// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// annotate sets annotations of the policy; an empty value takes one away.
func (w *world) annotate(annotations map[string]string) {
	policy := w.policy()
	if policy.Annotations == nil {
		policy.Annotations = map[string]string{}
	}
	for key, value := range annotations {
		policy.Annotations[key] = value
		if value == "" {
			delete(policy.Annotations, key)
		}
	}
	Expect(cluster.Client.Update(w.ctx, policy)).To(Succeed())
}

// in is a time from now as an annotation says it.
func (w *world) in(d time.Duration) string { return w.clock.Now().Add(d).UTC().Format(time.RFC3339) }

// request is the acknowledgement of an annotation.
func (w *world) request(annotation string) v1alpha1.RequestStatus {
	for _, request := range w.policy().Status.Requests {
		if request.Annotation == annotation {
			return request
		}
	}
	return v1alpha1.RequestStatus{}
}

func (w *world) reasons() map[string]int32 {
	reasons := map[string]int32{}
	for _, blocked := range w.policy().Status.Blocked {
		reasons[blocked.Reason] = blocked.Count
	}
	return reasons
}

var _ = Describe("The breaker", func() {
	It("touches nothing while 60 of 100 instances are down, and lets maxConcurrent through when they are fewer", func() {
		w := newWorld(100)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxConcurrent = new(intstr.FromInt32(4)) })
		w.pass()
		for n := range 60 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(40 * time.Second)
		Expect(w.recoveries()).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/TooManyUnhealthy"))
		Expect(w.reasons()).To(Equal(map[string]int32{v1alpha1.ReasonTooManyUnhealthy: 60}))
		Expect(w.blocked(0).Message).To(ContainSubstring("more than 50 instances are down (limits.maxUnhealthy)"))

		By("restarting in the middle")
		w.replicas = nil
		w.addReplica()
		w.advance(40 * time.Second)
		Expect(w.recoveries()).To(BeEmpty())

		By("letting ten of them come up again")
		for n := range 10 {
			w.set(n, up)
		}
		w.advance(119 * time.Second)
		Expect(w.recoveries()).To(BeEmpty(), "for two rounds of probes no more than 50 have to be down")
		Expect(w.policy().Status.Breaker.BelowTime).NotTo(BeNil())
		Expect(w.blocked(50).Until.Time).To(BeTemporally("~", w.clock.Now(), 30*time.Second))
		w.advance(32 * time.Second)
		Expect(w.policy().Status.Breaker).To(BeNil())
		Expect(w.recoveries()).To(HaveLen(4))
		w.advance(20 * time.Second)
		Expect(w.recoveries()).To(HaveLen(4), "no faster than maxConcurrent")
	})

	It("does not flap around its limit", func() {
		w := newWorld(10)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxUnhealthy = new(intstr.FromInt32(2)) })
		w.pass()
		for n := range 3 {
			w.set(n, down)
		}
		w.advance(40 * time.Second)
		for range 5 {
			w.set(0, up)
			w.advance(30 * time.Second)
			w.set(0, down)
			w.advance(40 * time.Second)
		}
		Expect(w.recoveries()).To(BeEmpty())
	})

	It("waits for the answers that may open it, and for no others", func() {
		w := newWorld(100)
		w.apply(byIDs(100), func(s *v1alpha1.RemediationPolicySpec) { s.Probe.FailureThreshold = 1 })
		w.pass()
		for n := range 60 {
			w.set(n, down)
		}
		// The second command of a round is read later than the first, on which 50 instances are down: no more than may be.
		late := 0
		w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
			if c.Operation == "SendCommand" && len(c.InstanceIDs) == 50 {
				if late++; late%2 == 0 {
					return ssmlocal.Fault{Lag: 3 * time.Second}
				}
			}
			return ssmlocal.Fault{}
		})
		w.advance(32 * time.Second)
		Expect(w.recoveries()).To(BeEmpty())
		Expect(w.reasons()).To(HaveKey(v1alpha1.BlockedAwaitingRound))
		w.advance(8 * time.Second)
		Expect(w.recoveries()).To(BeEmpty())
		Expect(w.reasons()).To(Equal(map[string]int32{v1alpha1.ReasonTooManyUnhealthy: 60}))
	})
})

var _ = Describe("Silence", func() {
	It("of a policy lets probes go on and recovery wait until its end", func() {
		w := newWorld(1)
		w.apply()
		w.annotate(map[string]string{v1alpha1.AnnotationSilencedUntil: w.in(2 * time.Minute), v1alpha1.AnnotationSilenceReason: "release 7"})
		w.pass()
		w.set(0, down)
		w.advance(60 * time.Second)
		Expect(w.recoveries()).To(BeEmpty())
		Expect(w.list()).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("False/SomeUnhealthy"))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/Silenced"))
		Expect(w.blocked(0).Message).To(HaveSuffix("of the policy: release 7"))
		Expect(w.blocked(0).Until.Time).To(BeTemporally("~", w.clock.Now(), time.Minute))
		Expect(w.request(v1alpha1.AnnotationSilencedUntil).State).To(Equal(v1alpha1.RequestAccepted))
		w.advance(65 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("True/Allowed"))
	})

	It("of a Namespace silences its policies", func() {
		w := newWorld(1)
		w.apply()
		namespace := &corev1.Namespace{}
		Expect(cluster.Client.Get(w.ctx, client.ObjectKey{Name: w.namespace}, namespace)).To(Succeed())
		namespace.Annotations = map[string]string{v1alpha1.AnnotationSilencedUntil: w.in(time.Hour)}
		Expect(cluster.Client.Update(w.ctx, namespace)).To(Succeed())
		w.set(0, down)
		w.advance(40 * time.Second)
		Expect(w.list()).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/Silenced"))
		Expect(w.request("namespace/" + v1alpha1.AnnotationSilencedUntil).State).To(Equal(v1alpha1.RequestAccepted))
	})

	It("that is no time is refused, and silences nothing", func() {
		w := newWorld(1)
		w.apply()
		w.annotate(map[string]string{v1alpha1.AnnotationSilencedUntil: "2h"})
		w.set(0, down)
		w.advance(10 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
		Expect(w.request(v1alpha1.AnnotationSilencedUntil).State).To(Equal(v1alpha1.RequestRefused))
	})
})

var _ = Describe("The kill switch", func() {
	It("keeps everything from being sent while it is there", func() {
		w := newWorld(1)
		w.apply()
		w.pass()
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.home, Name: v1alpha1.KillSwitch}}
		Expect(cluster.Client.Create(w.ctx, stop)).To(Succeed())
		w.set(0, down)
		w.server.ResetCalls()
		w.advance(60 * time.Second)
		Expect(w.server.Calls()).NotTo(HaveKey("SendCommand"))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("False/Stopped"))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/Stopped"))
		w.annotate(map[string]string{v1alpha1.AnnotationRequestedAt: w.in(0)})
		w.pass()
		Expect(w.request(v1alpha1.AnnotationRequestedAt).State).To(Equal(v1alpha1.RequestRefused))

		Expect(cluster.Client.Delete(w.ctx, stop)).To(Succeed())
		w.advance(10 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
	})
})

var _ = Describe("After the kill switch", func() {
	It("what was known before says nothing any more", func() {
		w := newWorld(4)
		w.apply(together, func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxUnhealthy = new(intstr.FromInt32(1)) })
		for n := range 2 {
			w.set(n, down)
		}
		w.advance(20 * time.Second)
		Expect(w.policy().Status.Breaker).NotTo(BeNil())
		for n := range 2 {
			w.set(n, func(n *node) { n.up = true })
		}
		w.advance(40 * time.Second)
		Expect(w.policy().Status.Breaker.BelowTime).NotTo(BeNil())
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.home, Name: v1alpha1.KillSwitch}}
		Expect(cluster.Client.Create(w.ctx, stop)).To(Succeed())
		w.advance(time.Second)
		Expect(w.policy().Status.Breaker.BelowTime).To(BeNil(), "no rounds prove anything meanwhile")
		w.leap(time.Hour)
		for n := range 4 {
			w.set(n, down)
		}
		Expect(cluster.Client.Delete(w.ctx, stop)).To(Succeed())
		policies := w.replicas[0].policies
		w.reconcile(policies, w.key())
		Expect(policies.fleets.byPolicy[w.key()].states).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"), "it is not late")
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("Unknown/FirstRound"))
		w.advance(20 * time.Second)
		Expect(w.policy().Status.Unhealthy).To(HaveValue(BeEquivalentTo(4)))
		Expect(w.list()).To(BeEmpty())
	})

	It("an incident that was over before it is over", func() {
		w := newWorld(2)
		w.apply(together, func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.StableSeconds = 100 })
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		// The fleet is never healthy as a whole.
		w.set(1, silent)
		w.advance(20 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultIneffective}))
		w.set(0, func(n *node) { n.up, n.helps = true, true })
		w.advance(200 * time.Second)
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.home, Name: v1alpha1.KillSwitch}}
		Expect(cluster.Client.Create(w.ctx, stop)).To(Succeed())
		w.advance(20 * time.Second)
		w.set(0, down)
		Expect(cluster.Client.Delete(w.ctx, stop)).To(Succeed())
		w.advance(40 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultIneffective, v1alpha1.ResultRecovered}))
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"one", "one"}))
	})
})

var _ = Describe("A clock that is set back", func() {
	It("does not keep anything from being seen and recovered", func() {
		w := newWorld(2)
		w.apply()
		w.set(0, down)
		w.advance(20 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
		w.clock.SetTime(w.clock.Now().Add(-time.Hour))
		w.set(1, down)
		w.advance(40 * time.Second)
		Expect(w.results()).To(HaveLen(2))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
	})
})

var _ = Describe("A maintenance window", func() {
	It("lets recovery wait until it begins", func() {
		w := newWorld(1)
		// It is noon of a Sunday.
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: "2 12 * * 0", DurationSeconds: 3600, Action: v1alpha1.WindowAllow}}
		})
		w.set(0, down)
		w.advance(60 * time.Second)
		Expect(w.list()).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/MaintenanceWindow"))
		Expect(w.blocked(0).Until.UTC().Format(time.TimeOnly)).To(Equal("12:02:00"))
		w.advance(62 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
	})

	It("that nobody understands is said, stalls, and forbids", func() {
		w := newWorld(1)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: "0 25 * * *", DurationSeconds: 3600, Action: v1alpha1.WindowDeny}}
		})
		w.set(0, down)
		w.advance(30 * time.Second)
		Expect(w.list()).To(BeEmpty())
		for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionRemediationAllowed} {
			Expect(w.condition(kind)).To(Equal("False/InvalidMaintenanceWindow"))
		}
		Expect(w.condition(v1alpha1.ConditionStalled)).To(Equal("True/InvalidMaintenanceWindow"))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("False/SomeUnhealthy"))
	})
})

var _ = Describe("A request", func() {
	It("probes all instances now, once", func() {
		w := newWorld(1)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Probe.PeriodSeconds = 3600 })
		w.pass()
		w.set(0, down)
		w.advance(10 * time.Second)
		Expect(w.list()).To(BeEmpty())
		w.annotate(map[string]string{v1alpha1.AnnotationRequestedAt: w.in(0)})
		w.advance(10 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
		Expect(w.list()[0].Spec.Detection.Source).To(Equal(v1alpha1.DetectionSourceRequest))
		acknowledged := w.request(v1alpha1.AnnotationRequestedAt)
		Expect(acknowledged.State).To(Equal(v1alpha1.RequestAccepted))

		w.server.ResetCalls()
		w.advance(30 * time.Second)
		Expect(w.server.Calls()).NotTo(HaveKey("SendCommand"))
		Expect(w.request(v1alpha1.AnnotationRequestedAt)).To(Equal(acknowledged))
	})

	It("resets the attempts, also of a recovery that did not help", func() {
		w := newWorld(1)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Limits.StopAfterIneffective = 2 })
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(90 * time.Second)
		Expect(w.recoveries()).To(HaveLen(2))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/RecoveryIneffective"))

		w.annotate(map[string]string{v1alpha1.AnnotationResetAt: w.in(0)})
		w.advance(10 * time.Second)
		Expect(w.recoveries()).To(HaveLen(3), "neither the attempts nor their backoff count any more")
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"one", "two", "one"}))
		Expect(w.list()[2].Spec.Sequence).To(BeEquivalentTo(3))
		Expect(w.request(v1alpha1.AnnotationResetAt).State).To(Equal(v1alpha1.RequestAccepted))

		By("taking the annotation away")
		w.annotate(map[string]string{v1alpha1.AnnotationResetAt: ""})
		w.advance(5 * time.Second)
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("True/Allowed"), "what was reset stays so")
	})

	It("that is refused says so", func() {
		w := newWorld(1)
		w.apply()
		w.annotate(map[string]string{v1alpha1.AnnotationResetAt: w.in(time.Hour), v1alpha1.AnnotationRequestedAt: "now"})
		w.pass()
		for _, annotation := range []string{v1alpha1.AnnotationResetAt, v1alpha1.AnnotationRequestedAt} {
			Expect(w.request(annotation).State).To(Equal(v1alpha1.RequestRefused))
		}
		Expect(w.policy().Status.ResetTime).To(BeNil())
	})
})

var _ = Describe("An instance that falls again after each recovery", func() {
	It("is restarted limits.attempts times in the window, and a new policy of that name changes nothing", func() {
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
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedAttemptsExhausted))
		Expect(w.blocked(0).Until.Time).To(BeTemporally("==", w.list()[0].Status.CompletionTime.Add(time.Hour)))
		opened := []time.Time{}
		for _, r := range w.list() {
			opened = append(opened, r.Spec.OpenTime.Time)
		}
		Expect(opened[1].Sub(opened[0])).To(BeNumerically(">=", 60*time.Second))
		Expect(opened[2].Sub(opened[1])).To(BeNumerically(">=", 120*time.Second))

		Expect(cluster.Client.Delete(w.ctx, w.policy())).To(Succeed())
		w.pass()
		w.apply()
		fall(20 * time.Minute)
		Expect(w.recoveries()).To(HaveLen(3))
		fall(20*time.Minute + 30*time.Second)
		Expect(len(w.recoveries())).To(BeNumerically(">", 3), fmt.Sprint(w.blocked(0)))
	})
})

var _ = Describe("An instance that is not Unhealthy", func() {
	It("says why it is left alone", func() {
		w := newWorld(2)
		w.apply()
		w.set(0, func(n *node) { n.held = true })
		w.set(1, silent)
		w.advance(40 * time.Second)
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedHeld))
		Expect(w.blocked(1).Reason).To(Equal(v1alpha1.BlockedUnknown))
		Expect(w.reasons()).To(Equal(map[string]int32{v1alpha1.BlockedHeld: 1, v1alpha1.BlockedUnknown: 1}))
	})
})
