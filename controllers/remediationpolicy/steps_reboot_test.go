// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

var _ = Describe("A reboot", func() {
	// comesBack is a node that is up again after 40 s, and starts the process 5 s later.
	comesBack := simulated.Boot{Takes: 40 * time.Second, Starts: true, After: 5 * time.Second}

	It("is ordered once, and has recovered the process when that is healthy in another boot", func() {
		a := newAttempt(reboot(), func(s *v1alpha1.RemediationSpec) {
			s.Evidence = []v1alpha1.ShellCommand{"uptime"}
			s.StartupGraceSeconds = 300
		})
		a.OnEvidence(func(string) simulated.Evidence { return simulated.Evidence{Output: "load 9"} })
		a.SetBoot(comesBack)
		before := a.BootID(a.begun)
		a.until(30 * time.Second)
		Expect(a.message()).To(Equal("the node reboots; the process has to be healthy after that"))
		a.until(overall)
		Expect(a.result()).To(Equal(recovered))
		Expect(a.message()).To(ContainSubstring("the node was rebooted; healthy after"))
		Expect(a.acts()).To(Equal([]string{simulated.Reboot}))
		status := a.remediation().Status
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{runCommand, verifyCommand}))
		Expect(status.Commands[0].BootID).To(Equal(before))
		Expect(status.Commands[1].BootID).To(Equal(a.BootID(a.clock.Now())))
		Expect(status.Commands[1].BootID).NotTo(Equal(before))
		Expect(status.Evidence).To(Equal([]v1alpha1.Evidence{{ExitCode: new(int32(0)), Output: "load 9"}}))
		Expect(status.ExitCode).To(BeNil())
	})

	DescribeTable("ends with what the node is like after it",
		func(boot simulated.Boot, arrange func(*attempt), want v1alpha1.Result, wantText string) {
			a := newAttempt(reboot())
			a.SetBoot(boot)
			arrange(a)
			a.until(overall)
			Expect(a.result()).To(Equal(want), a.message())
			Expect(a.message()).To(ContainSubstring(wantText))
			Expect(a.acts()).To(Equal([]string{simulated.Reboot}))
			Expect(a.clock.Since(a.begun)).To(BeNumerically("<", 10*time.Minute))
		},
		Entry("away for good", simulated.Boot{Never: true}, func(*attempt) {}, v1alpha1.ResultTimedOut, "the node did not come back"),
		Entry("up, with the process down", simulated.Boot{Takes: 40 * time.Second}, func(*attempt) {},
			v1alpha1.ResultIneffective, "the node was rebooted; still not healthy after 30"),
		Entry("not rebooted, and healthy by itself", simulated.Boot{Refused: true},
			func(a *attempt) { a.Start(a.begun.Add(time.Minute)) }, v1alpha1.ResultIneffective, "the node did not reboot within 30"),
		Entry("not rebooted", simulated.Boot{Refused: true}, func(*attempt) {}, v1alpha1.ResultIneffective, "the node did not reboot"),
		Entry("up, while AWS cannot be asked", comesBack, func(a *attempt) {
			a.server.SetFaults(sendsOf(verifyCommand, 12, ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: 500}))
		}, recovered, "was rebooted"),
		Entry("up, which AWS tells late", comesBack, func(a *attempt) {
			a.server.SetFaults(sendsOf(verifyCommand, 3, ssmlocal.Fault{Lag: time.Hour}))
		}, recovered, "was rebooted"),
	)

	It("is known by the time since the boot when its report was lost", func() {
		a := newAttempt(reboot())
		a.SetBoot(comesBack)
		a.server.SetFaults(sendsOf(runCommand, 1, ssmlocal.Fault{UndeliverableRan: true}))
		a.until(overall)
		Expect(a.result()).To(Equal(recovered))
		Expect(a.remediation().Status.Commands[0].BootID).To(BeEmpty())
		Expect(a.acts()).To(Equal([]string{simulated.Reboot}))
	})

	It("that an agent runs again after it is no second one", func() {
		a := newAttempt(reboot())
		a.SetBoot(comesBack)
		a.until(30 * time.Second)
		Expect(a.Off(a.clock.Now())).To(BeTrue())
		Expect(a.server.Replay(a.ID(), a.remediation().Status.Commands[0].CommandID)).To(Succeed())
		a.until(overall)
		Expect(a.result()).To(Equal(recovered))
		Expect(a.executions(runCommand)).To(HaveLen(2))
		Expect(a.acts()).To(Equal([]string{simulated.Reboot}))
	})

	DescribeTable("is not ordered when the node does not need it or refuses",
		func(arrange func(*attempt), want v1alpha1.Result) {
			a := newAttempt(reboot())
			arrange(a)
			a.until(overall)
			Expect(a.result()).To(Equal(want), a.message())
			Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{runCommand}))
			Expect(a.acts()).To(BeEmpty())
		},
		Entry("healthy again", func(a *attempt) { a.Start(a.begun) }, v1alpha1.ResultNotNeeded),
		Entry("held", func(a *attempt) { a.Hold(process.ReasonHoldFile) }, v1alpha1.ResultWithheld),
		Entry("not reached", func(a *attempt) { a.server.SetConnection(a.ID(), ssmlocal.ConnectionLost) }, v1alpha1.ResultNotDelivered),
		Entry("never sent, and that is not known", func(a *attempt) {
			a.server.SetFaults(sendsOf(runCommand, 1, ssmlocal.Fault{DropBefore: true}))
		}, v1alpha1.ResultLost),
	)
})
