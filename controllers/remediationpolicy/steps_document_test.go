// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

const (
	checkCommand  = v1alpha1.CommandPurposeCheck
	runCommand    = v1alpha1.CommandPurposeRun
	verifyCommand = v1alpha1.CommandPurposeVerify
)

var _ = Describe("A document", func() {
	// does makes the document's second step, and with it the document, do something.
	does := func(a *attempt, s simulated.Step) {
		a.OnStep(func(e simulated.Effect) simulated.Step {
			if e.DocumentStep == "start" {
				return s
			}
			return simulated.Step{Output: "stopped"}
		})
	}

	It("is checked, run and verified, each by a command of its own", func() {
		a := newAttempt(document(), func(s *v1alpha1.RemediationSpec) {
			s.Evidence = []v1alpha1.ShellCommand{"systemctl status httpd"}
			s.Output = v1alpha1.OutputSpec{Keep: v1alpha1.KeepAlways, CloudWatchLogGroup: "/ssm", S3Bucket: "logs", S3KeyPrefix: "web"}
			s.Step.Document.Parameters = []v1alpha1.DocumentParameter{{Name: "unit", Values: []string{"nginx"}}}
		})
		a.OnEvidence(func(command string) simulated.Evidence {
			return simulated.Evidence{Exit: 3, Output: "output of " + command}
		})
		does(a, simulated.Step{Takes: 20 * time.Second, Helps: true, HelpsAfter: 30 * time.Second, Output: "started"})
		a.until(5 * time.Second)
		Expect(a.message()).To(Equal("the document runs"))
		a.until(25 * time.Second)
		Expect(a.message()).To(Equal("the document was run; the process has to be healthy now"))
		a.until(overall)
		Expect(a.result()).To(Equal(recovered))
		Expect(a.message()).To(Equal("the document ended well; healthy after 10 s"))
		Expect(a.acts()).To(Equal([]string{restartWeb}))

		status := a.remediation().Status
		Expect(*status.ExitCode).To(BeZero())
		Expect(status.Output).To(Equal("stopped\nstarted"))
		Expect(status.Evidence).To(Equal([]v1alpha1.Evidence{{ExitCode: new(int32(3)), Output: "output of systemctl status httpd"}}))
		Expect(a.remediation().Finalizers).To(BeEmpty())
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand, runCommand, verifyCommand}))
		Expect(a.executions(verifyCommand)).To(HaveLen(2), "at once and ten seconds later")
		last := a.executions(verifyCommand)[1]
		for i, entry := range []ssmlocal.Entry{a.executions(checkCommand)[0], a.executions(runCommand)[0], last} {
			Expect(status.Commands[i].CommandID).To(Equal(entry.CommandID))
			Expect(status.Commands[i].CompletionTime).NotTo(BeNil())
			where := entry.CloudWatchLogGroup + " " + entry.S3Bucket + " " + entry.S3KeyPrefix
			if entry.CommandID == last.CommandID {
				Expect(where).To(Equal("  "), "probes never write there")
			} else {
				Expect(where).To(Equal("/ssm logs web"))
			}
		}
		Expect(a.LockedBy(a.clock.Now())).To(BeEmpty(), "the node is given back")
	})

	DescribeTable("ends with what is seen of it, and of the process after it",
		func(s simulated.Step, keep v1alpha1.KeepOutput, want v1alpha1.Result, wantExit *int32, wantOutput, wantText string) {
			a := newAttempt(document(), func(spec *v1alpha1.RemediationSpec) { spec.Output.Keep = keep })
			does(a, s)
			a.until(overall)
			Expect(a.result()).To(Equal(want), a.message())
			Expect(a.message()).To(ContainSubstring(wantText))
			Expect(a.remediation().Status.ExitCode).To(Equal(wantExit))
			Expect(a.remediation().Status.Output).To(Equal(wantOutput))
			Expect(a.acts()).To(Equal([]string{restartWeb}))
		},
		Entry("it helps", simulated.Step{Helps: true, Output: "x"}, v1alpha1.KeepOnFailure, recovered, new(int32(0)), "", "ended well; healthy"),
		Entry("it fails and helps", simulated.Step{Helps: true, Exit: 3}, v1alpha1.KeepNever, recovered, new(int32(3)), "", "exit code 3; healthy"),
		Entry("it does not help", simulated.Step{Output: "x"}, v1alpha1.KeepOnFailure,
			v1alpha1.ResultIneffective, new(int32(0)), "stopped\nx", "ended well; still not healthy after 30 s: no process"),
		Entry("it fails", simulated.Step{Exit: 3, Output: "x"}, v1alpha1.KeepNever,
			v1alpha1.ResultFailed, new(int32(3)), "", "exit code 3; still not healthy"),
		Entry("it hangs, and is cancelled", simulated.Step{Takes: time.Hour, Helps: true, HelpsAfter: 30 * time.Minute}, v1alpha1.KeepAlways,
			v1alpha1.ResultTimedOut, nil, "stopped", "the document was cancelled; it had 1m0s (timeoutSeconds); still not healthy"),
		Entry("it hangs, and has helped", simulated.Step{Takes: time.Hour, Helps: true}, v1alpha1.KeepOnFailure,
			recovered, nil, "", "was cancelled; it had 1m0s (timeoutSeconds); healthy"),
	)

	It("is not sent on a look of long ago that was read just now", func() {
		a := newAttempt(document())
		slowly(a)
		a.until(2 * time.Second)
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand}))
		for range 60 {
			a.clock.Step(time.Second)
			a.replicas[0].regions.Get(location).Step(a.ctx)
		}
		a.until(overall)
		Expect(a.result()).To(Equal(v1alpha1.ResultWithdrawn))
		Expect(a.message()).To(ContainSubstring("too long ago"))
		Expect(a.acts()).To(BeEmpty())
	})

	It("is sent on a look of just now, however long the node took to get to it", func() {
		a := newAttempt(document())
		does(a, simulated.Step{Helps: true})
		a.server.StopAgent(a.ID(), ssmlocal.ScriptsGoOn)
		a.until(50 * time.Second)
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand}))
		a.server.StartAgent(a.ID())
		a.until(overall)
		Expect(a.result()).To(Equal(recovered), a.message())
		Expect(a.remediation().Status.Commands[0].ProbeTime.Time).To(BeTemporally(">", a.begun.Add(40*time.Second)))
	})

	It("says that its result waits for the kill switch", func() {
		a := newAttempt(document())
		does(a, simulated.Step{Takes: 10 * time.Second, Helps: true, HelpsAfter: 10 * time.Second})
		a.until(5 * time.Second)
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand, runCommand}))
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: a.home, Name: v1alpha1.KillSwitch}}
		Expect(cluster.Client.Create(a.ctx, stop)).To(Succeed())
		a.until(10 * time.Minute)
		Expect(a.result()).To(Equal(v1alpha1.ResultRunning))
		Expect(a.message()).To(ContainSubstring("when the kill switch is gone"))
		Expect(cluster.Client.Delete(a.ctx, stop)).To(Succeed())
		a.until(overall)
		Expect(a.result()).To(Equal(recovered), a.message())
	})

	It("keeps the node when nobody knows whether it has ended", func() {
		a := newAttempt(document())
		does(a, simulated.Step{Takes: time.Hour, Helps: true, HelpsAfter: 30 * time.Second})
		a.until(5 * time.Second)
		a.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
			if c.Operation == "CancelCommand" {
				return ssmlocal.Fault{Code: "AccessDeniedException", Message: "not authorized"}
			}
			return ssmlocal.Fault{}
		})
		a.until(overall)
		Expect(a.result()).To(Equal(recovered), a.message())
		Expect(a.LockedBy(a.clock.Now())).NotTo(BeEmpty())
	})

	It("is cancelled once, and given up when it does not end even so", func() {
		a := newAttempt(document())
		does(a, simulated.Step{Takes: time.Hour})
		a.until(5 * time.Second)
		// Nobody hears of the cancelling, and nothing ends.
		a.server.StopAgent(a.ID(), ssmlocal.ScriptsGoOn)
		a.until(115 * time.Second)
		Expect(a.server.Calls()["CancelCommand"]).To(Equal(1))
		Expect(a.message()).To(Equal("the document runs"))
		a.until(120 * time.Second)
		Expect(a.message()).To(Equal("the document was run; the process has to be healthy now"))
		a.until(overall)
		Expect(a.result()).To(Equal(v1alpha1.ResultTimedOut))
		Expect(a.message()).To(ContainSubstring("the document did not end (Cancelling)"))
		Expect(a.server.Calls()["CancelCommand"]).To(Equal(1))
	})

	DescribeTable("is not sent when the check before it does not clear the way",
		func(arrange func(*attempt), want v1alpha1.Result, wantText string) {
			a := newAttempt(document())
			arrange(a)
			a.until(overall)
			Expect(a.result()).To(Equal(want), a.message())
			Expect(a.message()).To(ContainSubstring(wantText))
			Expect(a.executions(runCommand)).To(BeEmpty())
			Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand}))
		},
		Entry("healthy again", func(a *attempt) { a.Start(a.begun) }, v1alpha1.ResultNotNeeded, "healthy again"),
		Entry("held", func(a *attempt) { a.Hold(process.ReasonHoldFile) }, v1alpha1.ResultWithheld, "held"),
		Entry("another recovery", func(a *attempt) { a.Seize(a.begun, "another", time.Hour) }, v1alpha1.ResultWithheld, "held by"),
		Entry("not reached", func(a *attempt) { a.server.SetConnection(a.ID(), ssmlocal.ConnectionLost) },
			v1alpha1.ResultNotDelivered, "did not take"),
		Entry("undeliverable", func(a *attempt) { a.server.SetConnection(a.ID(), ssmlocal.Undeliverable) },
			v1alpha1.ResultWithdrawn, "without the node's word (Undeliverable"),
		Entry("no answer", func(a *attempt) { a.SetAgent(simulated.Mute) }, v1alpha1.ResultWithdrawn, "the document was not sent"),
		Entry("refused by AWS", func(a *attempt) {
			a.server.SetFaults(sendsOf(checkCommand, 1, ssmlocal.Fault{Code: "InvalidInstanceId", Message: "not in a valid state"}))
		}, v1alpha1.ResultNotDelivered, "not in a valid state"),
		Entry("never sent, and that is not known", func(a *attempt) {
			a.server.SetFaults(sendsOf(checkCommand, 1, ssmlocal.Fault{DropBefore: true}))
		}, v1alpha1.ResultWithdrawn, "the check was not found"),
	)

	DescribeTable("that AWS refuses is not delivered, with AWS's words and the remedy",
		func(change func(*v1alpha1.RemediationSpec), fault ssmlocal.Fault, wantText ...string) {
			a := newAttempt(document(), change)
			if fault.Code != "" {
				a.server.SetFaults(sendsOf(runCommand, 1, fault))
			}
			a.until(overall)
			Expect(a.result()).To(Equal(v1alpha1.ResultNotDelivered))
			for _, text := range wantText {
				Expect(a.message()).To(ContainSubstring(text))
			}
			Expect(a.acts()).To(BeEmpty())
		},
		Entry("no such document", func(s *v1alpha1.RemediationSpec) { s.Step.Document.Name = "no-such" }, ssmlocal.Fault{},
			"InvalidDocument: Document with name no-such", "correct recovery.steps[0].document"),
		Entry("no such version", func(s *v1alpha1.RemediationSpec) { s.Step.Document.Version = "7" }, ssmlocal.Fault{},
			"InvalidDocumentVersion", "correct recovery.steps[0].document"),
		Entry("a wrong parameter", func(s *v1alpha1.RemediationSpec) {
			s.Step.Document.Parameters = []v1alpha1.DocumentParameter{{Name: "unit", Values: []string{"../x"}}}
		}, ssmlocal.Fault{}, "InvalidParameters", "correct recovery.steps[0].document"),
		Entry("no permission", func(*v1alpha1.RemediationSpec) {},
			ssmlocal.Fault{Code: "AccessDeniedException", Message: "not authorized to perform: ssm:SendCommand"},
			"not authorized", "allow the controller's role to send the document restart-web (config/iam)"),
	)

	DescribeTable("whose send got no clear answer",
		func(fault ssmlocal.Fault, most int, help bool, want v1alpha1.Result, wantActs int) {
			a := newAttempt(document())
			does(a, simulated.Step{Helps: help})
			a.server.SetFaults(sendsOf(runCommand, most, fault))
			a.until(overall)
			Expect(a.result()).To(Equal(want), a.message())
			Expect(a.acts()).To(HaveLen(wantActs))
		},
		Entry("is adopted", ssmlocal.Fault{DropAfter: true}, 1, true, recovered, 1),
		Entry("is adopted when it shows up late", ssmlocal.Fault{DropAfter: true, Lag: 150 * time.Second}, 1, true, recovered, 1),
		Entry("and that was never accepted is Lost", ssmlocal.Fault{DropBefore: true}, 1, true, v1alpha1.ResultLost, 0),
		Entry("because AWS throttles is sent again", ssmlocal.Fault{Code: "ThrottlingException"}, 5, true, recovered, 1),
		Entry("because AWS throttles for too long is withdrawn", ssmlocal.Fault{Code: "ThrottlingException"}, 1000, true,
			v1alpha1.ResultWithdrawn, 0),
		Entry("and that is undeliverable is known by what it did", ssmlocal.Fault{UndeliverableRan: true}, 1, true, recovered, 1),
		Entry("and that is undeliverable and did not help is Lost", ssmlocal.Fault{UndeliverableRan: true}, 1, false,
			v1alpha1.ResultLost, 1),
	)

	It("is not run by a node that went away after the check", func() {
		a := newAttempt(document())
		a.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
			if c.Operation == "SendCommand" && strings.HasSuffix(c.Comment, "/Run") {
				a.server.SetConnection(a.ID(), ssmlocal.ConnectionLost)
			}
			return ssmlocal.Fault{}
		})
		a.until(10 * time.Second)
		Expect(a.purposes()).To(Equal([]v1alpha1.CommandPurpose{checkCommand, runCommand}))
		a.until(overall)
		Expect(a.result()).To(Equal(v1alpha1.ResultNotDelivered))
		Expect(a.clock.Since(a.begun)).To(BeNumerically("<", time.Minute), "AWS waits for 30 seconds")
		a.server.SetConnection(a.ID(), ssmlocal.Online)
		a.until(time.Hour)
		Expect(a.acts()).To(BeEmpty())
	})
})

var _ = Describe("A ladder", func() {
	It("goes from a document to a reboot", func() {
		w := newWorld(0)
		Expect(w.server.AddDocument(ssmlocal.Document{Name: restartWeb, Versions: []ssmlocal.DocumentVersion{{
			Steps: []ssmlocal.Step{{Name: "start", Script: "systemctl start httpd"}},
		}}})).To(Succeed())
		fleet, err := simulated.NewFleet(w.server, simulated.FleetOptions{
			Nodes: 1, Tags: map[string]string{"Role": "web"}, Booted: w.clock.Now().Add(-time.Hour),
		})
		Expect(err).NotTo(HaveOccurred())
		node := fleet.Nodes()[0]
		node.SetStep(simulated.Step{Exit: 1})
		node.Fail(w.clock.Now())
		w.apply(func(s *v1alpha1.RemediationPolicySpec) {
			s.Recovery.Steps = []v1alpha1.RecoveryStep{
				{Document: &v1alpha1.DocumentStep{Name: restartWeb}}, {Reboot: &v1alpha1.RebootStep{}},
			}
		})
		for range 200 {
			if w.leap(5 * time.Second); slices.Contains(w.results(), recovered) {
				break
			}
		}
		Expect(node.Up(w.clock.Now())).To(BeTrue())
		var acts []string
		for _, effect := range fleet.Ledger.Effects() {
			acts = append(acts, effect.Action)
		}
		Expect(acts).To(Equal([]string{restartWeb, simulated.Reboot}))
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultFailed, recovered}))
		Expect(fleet.Ledger.Most()).To(Equal(1))
	})
})

var _ = Describe("A policy that observes", func() {
	It("sends nothing, and tells what would have been done", func() {
		for step, want := range map[*v1alpha1.RecoveryStep]string{
			new(document()):                    "step 1 would have been run: document restart-web",
			new(reboot()):                      "step 1 would have been run: reboot",
			{Command: "systemctl start httpd"}: "step 1 would have been run: systemctl start httpd",
		} {
			a := newAttempt(*step, func(s *v1alpha1.RemediationSpec) { s.Mode = v1alpha1.ModeObserve })
			a.step()
			Expect(a.result()).To(Equal(v1alpha1.ResultObserved))
			Expect(a.message()).To(Equal(want))
			Expect(a.remediation().Finalizers).To(BeEmpty())
			Expect(a.server.Calls()["SendCommand"]).To(BeZero())
		}
	})
})
