// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/controllers/shard"
)

// choose lets a replica act only on the policies that a selector matches.
func (r *replica) choose(selector string) {
	policies, err := shard.ParsePolicies(selector)
	Expect(err).NotTo(HaveOccurred())
	r.policies.Shard.Policies, r.remediations.Shard.Policies = policies, policies
}

// split makes two managers, one for the policies of the team a and one for those of b. The policy is the team a's.
func (w *world) split() (a, b *replica) {
	w.addReplica()
	a, b = w.replicas[0], w.replicas[1]
	a.choose("team=a")
	b.choose("team=b")
	w.handOver("a")
	return a, b
}

// handOver gives the policy to another team, without a change of its spec.
func (w *world) handOver(team string) {
	policy := w.policy()
	policy.Labels = map[string]string{"team": team}
	Expect(cluster.Client.Update(w.ctx, policy)).To(Succeed())
}

// elsewhere gives a replica another Systems Manager, where one sees what it does there.
func (w *world) elsewhere() (*replica, *ssmlocal.Server) {
	own := w.server
	w.server = ssmlocal.New(ssmlocal.Options{Clock: w.clock})
	Expect(w.server.Start("")).To(Succeed())
	DeferCleanup(w.server.Close)
	w.addReplica()
	other := w.server
	w.server = own
	other.ResetCalls()
	return w.replicas[len(w.replicas)-1], other
}

// reading is a client through which nothing may be written.
type reading struct{ client.Client }

func (reading) Create(context.Context, client.Object, ...client.CreateOption) error {
	Fail("it has created something")
	return nil
}

func (reading) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	Fail("it has changed something")
	return nil
}

func (reading) Delete(context.Context, client.Object, ...client.DeleteOption) error {
	Fail("it has deleted something")
	return nil
}

func (reading) Status() client.SubResourceWriter {
	Fail("it has written a status")
	return nil
}

var _ = Describe("A manager that has not chosen a policy", func() {
	It("neither probes nor opens nor sends nor writes", func() {
		w := newWorld(2)
		w.apply()
		w.handOver("a")
		w.replicas[0].choose("team=a")
		other, server := w.elsewhere()
		other.choose("team!=a")
		other.policies.Client, other.remediations.Client = reading{cluster.Client}, reading{cluster.Client}
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(80 * time.Second)
		Expect(w.recoveries()).To(HaveLen(2), "the other manager goes on")
		Expect(w.results()).To(HaveLen(2))
		Expect(server.Calls()).To(BeEmpty())
	})

	It("does not open what it has decided on just before the labels were changed", func() {
		w := newWorld(1)
		w.apply()
		a, _ := w.split()
		// The cache of a does not bring the change.
		a.policies.Client = &outdated{Client: cluster.Client, policy: w.policy()}
		w.handOver("nobody")
		w.set(0, down)
		w.advance(20 * time.Second)
		Expect(a.policies.fleets.byPolicy).NotTo(BeEmpty(), "it still believes that the policy is its own")
		Expect(w.list()).To(BeEmpty())
		Expect(w.policy().Status.Opening).To(BeEmpty())
	})
})

// outdated is a client whose cache has an old policy.
type outdated struct {
	client.Client
	policy *v1alpha1.RemediationPolicy
}

func (o *outdated) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if policy, ok := object.(*v1alpha1.RemediationPolicy); ok {
		o.policy.DeepCopyInto(policy)
		return nil
	}
	return o.Client.Get(ctx, key, object, options...)
}

var _ = Describe("A policy that is handed over", func() {
	It("is probed by the other manager from then on, and its rounds are abandoned", func() {
		w := newWorld(1)
		w.apply()
		a, b := w.split()
		w.reconcile(a.policies, w.key())
		round := a.policies.fleets.byPolicy[w.key()].whole
		w.handOver("b")
		w.pass()
		Expect(round.isAbandoned()).To(BeTrue())
		Expect(a.policies.fleets.byPolicy).To(BeEmpty())
		Expect(b.policies.fleets.byPolicy).To(HaveKey(w.key()))
		Expect(w.condition(v1alpha1.ConditionHealthy)).To(Equal("True/AllHealthy"))
	})

	It("keeps its limits: all attempts count, whoever has made them", func() {
		w := newWorld(1)
		w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Limits.Attempts = 2 })
		w.split()
		w.set(0, func(n *node) { n.up, n.helps = false, false })
		w.advance(8 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		w.handOver("b")
		w.advance(20 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedBackoff))
		for range 60 {
			w.leap(5 * time.Second)
		}
		Expect(w.recoveries()).To(HaveLen(2))
		Expect(w.nodes[id(0)].steps).To(Equal([]string{"one", "two"}))
		Expect(w.blocked(0).Reason).To(Equal(v1alpha1.BlockedAttemptsExhausted))
	})

	It("keeps its slots: what the other manager has in flight counts", func() {
		w := newWorld(3)
		w.apply(evenAll, func(s *v1alpha1.RemediationPolicySpec) {
			s.Limits.BackoffSeconds, s.Limits.BackoffMaxSeconds = 300, 300
		})
		w.split()
		for n := range 3 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(8 * time.Second)
		Expect(w.list()).To(HaveLen(1), "10% of 3")
		w.handOver("b")
		w.advance(40 * time.Second)
		Expect(w.list()).To(HaveLen(1))
	})
})

// split makes two managers for the attempt, whose policy is the first one's.
func (a *attempt) split() (first, second *replica) {
	first, second = a.world.split()
	a.begun = a.clock.Now()
	return first, second
}

var _ = Describe("An attempt in flight", func() {
	DescribeTable("whose policy is handed over at any moment is carried out once, to its end", func(step v1alpha1.RecoveryStep) {
		run := func(at func(a *attempt, after bool)) *attempt {
			a := newAttempt(step)
			a.SetStep(simulated.Step{Takes: 2 * time.Second, Helps: true, HelpsAfter: 4 * time.Second})
			a.SetBoot(simulated.Boot{Takes: 15 * time.Second, Starts: true, After: 5 * time.Second})
			first, _ := a.split()
			first.remediations.Client = mortal{first.remediations.Client, func(after bool) { at(a, after) }}
			a.until(overall)
			return a
		}
		points := 0
		undisturbed := run(func(*attempt, bool) { points++ })
		Expect(undisturbed.result()).To(Equal(recovered))
		Expect(points).To(BeNumerically(">=", 6))
		for point := range points {
			passed := 0
			a := run(func(a *attempt, _ bool) {
				if passed == point {
					a.handOver("b")
				}
				passed++
			})
			Expect(passed).To(BeNumerically(">", point))
			Expect(a.result()).To(Equal(recovered), "handed over at point %d: %s", point, a.message())
			Expect(a.acts()).To(HaveLen(1), "handed over at point %d", point)
			Expect(a.remediation().Finalizers).To(BeEmpty())
		}
	},
		Entry("a command", command()), Entry("a document", document()), Entry("a reboot", reboot()),
	)

	DescribeTable("that two managers take up at the same moment is carried out once", func(step v1alpha1.RecoveryStep) {
		a := newAttempt(step)
		slowly(a)
		first, second := a.split()
		// By mistake, both have chosen the policy. Each write of the first finds that the second has just made a pass.
		second.choose("team in (a,b)")
		between := 0
		first.remediations.Client = mortal{first.remediations.Client, func(after bool) {
			if !after {
				between++
				a.stepOf(second)
			}
		}}
		a.until(overall)
		Expect(between).To(BeNumerically(">", 1))
		Expect(a.result()).To(Equal(recovered))
		Expect(a.acts()).To(HaveLen(1))
	},
		Entry("a command", command()), Entry("a document", document()), Entry("a reboot", reboot()),
	)

	DescribeTable("whose policy is gone is carried to its end by whoever is there",
		func(step v1alpha1.RecoveryStep, remaining int) {
			a := newAttempt(step)
			slowly(a)
			a.split()
			a.until(6 * time.Second)
			Expect(a.executions(runCommand)).To(HaveLen(1))
			Expect(cluster.Client.Delete(a.ctx, a.policy())).To(Succeed())
			a.replicas = a.replicas[remaining:]
			a.until(overall)
			Expect(a.result()).To(Equal(recovered))
			Expect(a.acts()).To(HaveLen(1))
			Expect(a.remediation().Finalizers).To(BeEmpty())
		},
		Entry("a command, by both", command(), 0), Entry("a command, by the other one", command(), 1),
		Entry("a document, by both", document(), 0), Entry("a document, by the other one", document(), 1),
		Entry("a reboot, by both", reboot(), 0), Entry("a reboot, by the other one", reboot(), 1),
	)

	DescribeTable("whose policy nobody has chosen any more gets its result all the same",
		func(step v1alpha1.RecoveryStep, before time.Duration, result v1alpha1.Result, acts int) {
			a := newAttempt(step)
			slowly(a)
			first, _ := a.split()
			a.until(before)
			a.handOver("c")
			a.step()
			a.clock.Step(30 * time.Second)
			a.step()
			Expect(a.result()).To(Equal(v1alpha1.ResultRunning), "whoever might have chosen it has its time")
			for _, command := range a.remediation().Status.Commands {
				_, tracked := first.regions.Get(location).Observe(command.CommandID)
				Expect(tracked).To(BeFalse(), "and nobody reads for nothing")
			}
			a.until(overall)
			Expect(a.result()).To(Equal(result), a.message())
			Expect(a.acts()).To(HaveLen(acts))
			Expect(a.remediation().Finalizers).To(BeEmpty())
		},
		Entry("a command that was sent", command(), 2*time.Second, recovered, 1),
		Entry("a document that was sent", document(), 8*time.Second, recovered, 1),
		Entry("a document that is being verified", document(), 20*time.Second, recovered, 1),
		Entry("a reboot that was sent", reboot(), 2*time.Second, recovered, 1),
		Entry("a document whose check was sent", document(), 2*time.Second, v1alpha1.ResultWithdrawn, 0),
	)

	It("is not withdrawn by a manager that does not know of the policy yet", func() {
		a := newAttempt(command())
		slowly(a)
		_, second := a.split()
		second.remediations.Client = forgetful{reading{cluster.Client}}
		a.until(overall)
		Expect(a.result()).To(Equal(recovered))
	})

	It("is withdrawn when it was not sent in its time, by whoever is there", func() {
		a := newAttempt(command())
		a.split()
		a.handOver("c")
		a.until(overall)
		Expect(a.result()).To(Equal(v1alpha1.ResultWithdrawn))
		Expect(a.executions(runCommand)).To(BeEmpty())
	})

	It("is sent by a manager that is being stopped, when it has said so already", func() {
		a := newAttempt(command())
		a.stopAtFirstWrite()
		Expect(a.remediation().Status.Commands[0].CommandID).NotTo(BeEmpty())
		Expect(a.executions(runCommand)).To(HaveLen(1))
	})

	It("is known not to be sent also by a manager that is being stopped", func() {
		a := newAttempt(command())
		a.server.SetFaults(sendsOf(runCommand, 1, ssmlocal.Fault{Code: "AccessDeniedException", Message: "not authorized"}))
		a.stopAtFirstWrite()
		Expect(a.result()).To(Equal(v1alpha1.ResultNotDelivered), a.message())
	})
})

// stopAtFirstWrite makes a pass in a manager that is told to stop by its first write.
func (a *attempt) stopAtFirstWrite() {
	GinkgoHelper()
	ctx, stop := context.WithCancel(a.ctx)
	replica := a.replicas[0].remediations
	replica.Client = mortal{replica.Client, func(after bool) {
		if after {
			stop()
		}
	}}
	_, err := replica.Reconcile(ctx, ctrl.Request{NamespacedName: a.key})
	Expect(err).NotTo(HaveOccurred())
	Expect(ctx.Err()).To(HaveOccurred())
}

// forgetful is a client whose cache has no policies yet.
type forgetful struct{ client.Client }

func (f forgetful) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, ok := object.(*v1alpha1.RemediationPolicy); ok {
		key.Name = "none"
	}
	return f.Client.Get(ctx, key, object, options...)
}

func command() v1alpha1.RecoveryStep {
	return v1alpha1.RecoveryStep{
		Command: "systemctl start httpd", TimeoutSeconds: new(int32(60)), VerifySeconds: new(int32(30)),
	}
}
