// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// always makes every call of SSM go wrong.
func always(f ssmlocal.Fault) ssmlocal.Faults {
	return func(ssmlocal.Call) ssmlocal.Fault { return f }
}

// sends makes the first so many sends of recoveries go wrong.
func sends(f ssmlocal.Fault, most int) ssmlocal.Faults {
	seen := 0
	return func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == "SendCommand" && strings.HasSuffix(c.Comment, "/Run") && seen < most {
			seen++
			return f
		}
		return ssmlocal.Fault{}
	}
}

var _ = Describe("What cannot be known", func() {
	// The process is down on the instance all the time: only what keeps the probe from telling differs.
	DescribeTable("is Unknown with its reason, and nothing is done",
		func(arrange func(*world), wantReason string, wantReady string) {
			w := newWorld(1)
			w.set(0, down)
			w.apply(func(s *v1alpha1.RemediationPolicySpec) {
				s.Targets = v1alpha1.Targets{InstanceIDs: []v1alpha1.InstanceID{v1alpha1.InstanceID(id(0))}}
			})
			arrange(w)
			for range 20 {
				w.leap(5 * time.Second)
			}
			Expect(w.policy().Status.Summary).To(Equal([]v1alpha1.ReasonCount{{Reason: wantReason, Count: 1}}))
			Expect(w.policy().Status.Instances[0].Message).NotTo(BeEmpty())
			Expect(w.condition(v1alpha1.ConditionReady)).To(Equal(wantReady))
			Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("Unknown/SomeUnknown"))
			Expect(w.list()).To(BeEmpty())
			Expect(w.recoveries()).To(BeEmpty())
		},
		Entry("a missing node", func(w *world) { w.server.SetConnection(id(0), ssmlocal.Absent) },
			decide.ReasonNodeNotManaged, "True/Probing"),
		Entry("an offline node", func(w *world) { w.server.SetConnection(id(0), ssmlocal.ConnectionLost) },
			decide.ReasonNodeOffline, "True/Probing"),
		Entry("a node that AWS does not reach", func(w *world) { w.server.SetConnection(id(0), ssmlocal.Undeliverable) },
			ReasonNotDelivered, "True/Probing"),
		Entry("a node that takes the probe and does not answer", func(w *world) { w.set(0, silent) },
			ReasonNoAnswer, "True/Probing"),
		Entry("no permission", func(w *world) {
			w.server.SetFaults(always(ssmlocal.Fault{Code: "AccessDeniedException", Message: "not authorized to perform"}))
		}, v1alpha1.ReasonAccessDenied, "False/AccessDenied"),
		Entry("no permission to send", func(w *world) {
			w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
				if c.Operation == "SendCommand" {
					return ssmlocal.Fault{Code: "AccessDeniedException", Message: "not authorized to perform: ssm:SendCommand"}
				}
				return ssmlocal.Fault{}
			})
		}, v1alpha1.ReasonAccessDenied, "False/AccessDenied"),
		Entry("no permission to read", func(w *world) {
			w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
				if c.Operation == "ListCommandInvocations" {
					return ssmlocal.Fault{Code: "AccessDeniedException", Message: "not authorized to perform: ssm:ListCommandInvocations"}
				}
				return ssmlocal.Fault{}
			})
		}, v1alpha1.ReasonAccessDenied, "False/AccessDenied"),
		Entry("throttling", func(w *world) {
			w.server.SetFaults(always(ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}))
		}, v1alpha1.ReasonThrottled, "False/Throttled"),
		Entry("an outage", func(w *world) {
			w.server.SetFaults(always(ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: 500}))
		}, v1alpha1.ReasonAWSUnavailable, "False/AWSUnavailable"),
		Entry("no connection", func(w *world) { w.server.SetFaults(always(ssmlocal.Fault{DropBefore: true})) },
			v1alpha1.ReasonAWSUnavailable, "False/AWSUnavailable"),
	)

	It("says what a user has to change, in AWS's own words", func() {
		w := newWorld(1)
		w.apply()
		w.server.SetFaults(always(ssmlocal.Fault{Code: "AccessDeniedException", Message: "User x is not authorized to perform y"}))
		w.pass()
		Expect(w.condition(v1alpha1.ConditionStalled)).To(Equal("True/AccessDenied"))
		Expect(w.condition(v1alpha1.ConditionRemediationAllowed)).To(Equal("False/AccessDenied"))
		for _, c := range w.policy().Status.Conditions {
			if c.Type == v1alpha1.ConditionReady {
				Expect(c.Message).To(ContainSubstring("User x is not authorized to perform y"))
			}
		}
		w.server.SetFaults(nil)
		w.leap(30 * time.Second)
		Expect(w.condition(v1alpha1.ConditionStalled)).To(BeEmpty())
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
	})

	It("does not keep one bad id from the others", func() {
		w := newWorld(3)
		w.apply()
		w.pass()
		// In the inventory still, but gone when the probe is sent.
		w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
			if c.Operation == "SendCommand" && strings.Contains(strings.Join(c.InstanceIDs, ","), id(1)) {
				return ssmlocal.Fault{Code: "InvalidInstanceId", Message: "Instances [[" + id(1) + "]] not in a valid state for account 1"}
			}
			return ssmlocal.Fault{}
		})
		w.leap(30 * time.Second)
		Expect(*w.policy().Status.Healthy).To(BeEquivalentTo(2))
		Expect(w.policy().Status.Summary).To(Equal([]v1alpha1.ReasonCount{{Reason: decide.ReasonNodeNotManaged, Count: 1}}))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
	})
})

var _ = Describe("A send without a clear answer", func() {
	It("that was accepted is found again and adopted: one execution", func() {
		w := newWorld(1)
		w.set(0, down)
		w.server.SetFaults(sends(ssmlocal.Fault{DropAfter: true}, 1))
		w.apply()
		w.advance(20 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{recovered}))
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.list()[0].Status.Commands[0].CommandID).To(Equal(w.recoveries()[0].CommandID))
	})

	It("that shows up in the lists only after a while is adopted all the same", func() {
		w := newWorld(1)
		w.set(0, down)
		w.server.SetFaults(sends(ssmlocal.Fault{DropAfter: true, Lag: 90 * time.Second}, 1))
		w.apply()
		w.advance(40 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRunning}))
		w.advance(80 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{recovered}))
		Expect(w.recoveries()).To(HaveLen(1))
	})

	It("that was never accepted is Lost, after the horizon and not before, and never sent again", func() {
		w := newWorld(1)
		w.set(0, down)
		w.server.SetFaults(sends(ssmlocal.Fault{DropBefore: true}, 1))
		w.apply()
		w.advance(20 * time.Second)
		r := w.list()[0]
		end := r.Spec.NotAfter.Add(2 * time.Minute)
		for w.clock.Now().Before(end) {
			w.leap(5 * time.Second)
			Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRunning}))
			Expect(w.recoveries()).To(BeEmpty())
		}
		for range 60 {
			w.leap(5 * time.Second)
		}
		Expect(w.results()[0]).To(Equal(v1alpha1.ResultLost))
		for _, entry := range w.recoveries() {
			Expect(entry.Comment).NotTo(HavePrefix(string(r.UID)))
		}
	})

	It("because the controller died before it could record the answer is adopted by the next one", func() {
		w := newWorld(1)
		w.set(0, down)
		w.server.SetFaults(sends(ssmlocal.Fault{DropAfter: true}, 1))
		w.apply()
		w.advance(6 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		w.replicas = nil
		w.addReplica()
		w.advance(20 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{recovered}))
		Expect(w.recoveries()).To(HaveLen(1))
	})
})

var _ = Describe("A probe that AWS refuses because of its rate", func() {
	It("is sent again in its turn, and not behind the rounds of others", func() {
		w := newWorld(1)
		refused := 0
		w.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
			if c.Operation != "SendCommand" || refused == sendTries-1 {
				return ssmlocal.Fault{}
			}
			refused++
			return ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
		})
		w.apply()
		w.pass()
		Expect(w.server.Calls()["SendCommand"]).To(Equal(sendTries))
		Expect(w.condition(v1alpha1.ConditionReady)).To(Equal("True/Probing"))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(HavePrefix("True/"))
	})
})

var _ = Describe("A send that AWS refuses", func() {
	It("because of its rate is tried again, and runs once", func() {
		w := newWorld(1)
		w.set(0, down)
		w.server.SetFaults(sends(ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}, 2))
		w.apply()
		w.advance(20 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{recovered}))
		Expect(w.recoveries()).To(HaveLen(1))
	})

	It("for good ends the attempt with AWS's words", func() {
		w := newWorld(1)
		w.set(0, down)
		w.server.SetFaults(sends(ssmlocal.Fault{Code: "InvalidInstanceId", Message: "not in a valid state"}, 1))
		w.apply()
		w.advance(8 * time.Second)
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultNotDelivered}))
		Expect(w.list()[0].Status.Conditions[0].Message).To(ContainSubstring("not in a valid state"))
		Expect(w.recoveries()).To(BeEmpty())
	})
})
