// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// slowly makes every phase take long enough to happen something in it: the check ends after 4 s, the document after 14, and the
// process is healthy after 24.
func slowly(a *attempt) {
	a.SetLookTakes(4 * time.Second)
	a.SetStep(simulated.Step{Takes: 5 * time.Second, Helps: true, HelpsAfter: 20 * time.Second})
}

var _ = Describe("A controller that is killed", func() {
	// It dies before and after each of its writes: whatever else it does, sending included, is between two of them.
	DescribeTable("leaves it to the next one to go on, and nothing is done twice",
		func(step v1alpha1.RecoveryStep, wantUndone ...v1alpha1.Result) {
			run := func(at func(after bool)) *attempt {
				a := newAttempt(step)
				a.SetStep(simulated.Step{Takes: 5 * time.Second, Helps: true, HelpsAfter: 10 * time.Second})
				a.SetBoot(simulated.Boot{Takes: 15 * time.Second, Starts: true, After: 5 * time.Second})
				replica := a.replicas[0].remediations
				replica.Client = mortal{replica.Client, at}
				a.until(overall)
				return a
			}
			points := 0
			undisturbed := run(func(bool) { points++ })
			Expect(undisturbed.result()).To(Equal(recovered))
			Expect(points).To(BeNumerically(">", 10))

			var undone []v1alpha1.Result
			for point := range points {
				passed := -1
				a := run(func(bool) {
					if passed++; passed == point {
						panic(killed{})
					}
				})
				Expect(passed).To(Equal(point), "nobody has used its client since")
				a.step()
				Expect(a.remediation().Finalizers).To(BeEmpty())
				if len(a.acts()) == 0 {
					undone = append(undone, a.result())
					continue
				}
				Expect(a.acts()).To(HaveLen(1), "killed at point %d", point)
				Expect(a.result()).To(Equal(recovered), "killed at point %d: %s", point, a.message())
				Expect(a.purposes()).To(Equal(undisturbed.purposes()))
			}
			// When it dies with the intent written and nothing sent, nobody knows that.
			Expect(undone).To(Equal(wantUndone))
		},
		Entry("a document", document(), v1alpha1.ResultWithdrawn, v1alpha1.ResultLost),
		Entry("a reboot", reboot(), v1alpha1.ResultLost),
	)
})

var _ = Describe("A controller that is stopped and wakes up an hour later", func() {
	DescribeTable("sends nothing any more", func(purpose v1alpha1.CommandPurpose, step v1alpha1.RecoveryStep) {
		a := newAttempt(step)
		replica := a.replicas[0].remediations
		asleep := false
		replica.Client = mortal{replica.Client, func(after bool) {
			command := a.remediation().Status.Commands
			if after && !asleep && len(command) > 0 && command[len(command)-1].Purpose == purpose {
				// Its intent is written, and nothing is sent yet.
				asleep = true
				a.clock.Step(time.Hour)
			}
		}}
		a.until(2 * overall)
		Expect(asleep).To(BeTrue())
		Expect(a.result()).To(Equal(v1alpha1.ResultWithdrawn))
		Expect(a.executions(purpose)).To(BeEmpty())
		Expect(a.acts()).To(BeEmpty())
	},
		Entry("no check", checkCommand, document()),
		Entry("no document", runCommand, document()),
		Entry("no reboot", runCommand, reboot()),
	)
})

var _ = Describe("Two controllers that both believe to be the leader", func() {
	for kind, step := range map[string]v1alpha1.RecoveryStep{"document": document(), "reboot": reboot()} {
		It("do a "+kind+" once", func() {
			a := newAttempt(step)
			a.addReplica()
			a.until(overall)
			Expect(a.result()).To(Equal(recovered))
			Expect(a.acts()).To(HaveLen(1))
		})
	}
})

var _ = Describe("A change of mind", func() {
	suspend := func(a *attempt) { a.edit(func(s *v1alpha1.RemediationPolicySpec) { s.Suspend = true }) }
	remove := func(a *attempt) { Expect(cluster.Client.Delete(a.ctx, a.policy())).To(Succeed()) }
	discard := func(a *attempt) { Expect(cluster.Client.Delete(a.ctx, a.remediation())).To(Succeed()) }

	DescribeTable("counts until the document is sent", func(change func(*attempt)) {
		a := newAttempt(document())
		slowly(a)
		a.until(2 * time.Second)
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand}))
		change(a)
		a.until(overall)
		Expect(a.acts()).To(BeEmpty())
		Expect(a.told()).To(ContainElement(ContainSubstring("the document was not sent")))
	},
		Entry("suspended", suspend), Entry("the policy deleted", remove), Entry("the Remediation deleted", discard),
	)

	It("counts even when the intent to send the document is written already", func() {
		a := newAttempt(document())
		replica := a.replicas[0].remediations
		replica.Client = mortal{replica.Client, func(after bool) {
			if after && len(a.purposes()) == 2 && !a.policy().Spec.Suspend {
				suspend(a)
			}
		}}
		a.until(overall)
		Expect(a.result()).To(Equal(v1alpha1.ResultWithdrawn))
		Expect(a.message()).To(ContainSubstring("the document was not sent"))
		Expect(a.acts()).To(BeEmpty())
	})

	DescribeTable("does not keep what was done from being known",
		func(step v1alpha1.RecoveryStep, at time.Duration, want []v1alpha1.CommandPurpose, change func(*attempt)) {
			a := newAttempt(step)
			slowly(a)
			a.until(at)
			Expect(a.purposes()).To(Equal(want))
			change(a)
			a.until(overall)
			Expect(a.acts()).To(HaveLen(1))
			Expect(a.told()).To(ContainElement(HavePrefix("Normal Recovered")))
		},
		Entry("suspended while the document runs", document(), 8*time.Second, ran, suspend),
		Entry("the policy deleted while the document runs", document(), 8*time.Second, ran, remove),
		Entry("the Remediation deleted while the document runs", document(), 8*time.Second, ran, discard),
		Entry("suspended while it is verified", document(), 20*time.Second, verifying, suspend),
		Entry("the policy deleted while it is verified", document(), 20*time.Second, verifying, remove),
		Entry("the Remediation deleted while it is verified", document(), 20*time.Second, verifying, discard),
		Entry("suspended while the node reboots", reboot(), 40*time.Second, verifying[1:], suspend),
		Entry("the policy deleted while the node reboots", reboot(), 40*time.Second, verifying[1:], remove),
		Entry("the Remediation deleted while the node reboots", reboot(), 40*time.Second, verifying[1:], discard),
	)
})

var (
	ran       = []v1alpha1.CommandPurpose{checkCommand, runCommand}
	verifying = []v1alpha1.CommandPurpose{checkCommand, runCommand, verifyCommand}
)
