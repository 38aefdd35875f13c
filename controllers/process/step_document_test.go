// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// document is the check before a document.
func document(c Check) Recovery {
	r := recovery(c, "")
	r.Step = v1alpha1.RecoveryStep{Document: &v1alpha1.DocumentStep{Name: "Team-RestartHttpd"}}
	r.Timeout, r.Hold = 0, 10*time.Minute
	return r
}

// later moves the clock that counts from boot.
func (n *node) later(d time.Duration) {
	n.t.Helper()
	n.sh(fmt.Sprintf(`read -r up rest </proc/uptime; echo "$((${up%%%%.*} + %d)).00 1.00" >/run/uptime.new
umount /proc/uptime 2>/dev/null; mv /run/uptime.new /run/uptime; mount --bind /run/uptime /proc/uptime`, d/time.Second))
}

func TestDocumentIsCleared(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := document(byName("webserver"))
		r.Evidence = []v1alpha1.ShellCommand{"echo why"}
		report, _ := n.recover(r)
		n.Expect(report.Result).To(Equal(ResultCleared), report.Message)
		n.Expect(report.Reason).To(Equal(ReasonProcessNotRunning))
		n.Expect(phases(report)).To(Equal([]PhaseName{PhaseStarted, PhaseEvidence, PhaseProbed, PhaseDone}))
		n.Expect(report.Acted).To(BeFalse())
		n.Expect(report.ExitCode).To(BeNil())
		n.Expect(report.Before.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(report.Evidence).To(HaveLen(1))
		n.Expect(report.Evidence[0].Output).To(Equal("why"))
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/" + testUID)).To(BeTrue())
		n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host\nlock"))

		again, _ := n.recover(r)
		n.Expect(again.Reason).To(Equal(ReasonAlreadyRan))
		other := recovery(byName("webserver"), "touch /run/acted")
		other.UID = "other-uid"
		held, _ := n.recover(other)
		n.Expect(held.Reason).To(Equal(ReasonOtherRecovery))
		n.Expect(held.Message).To(ContainSubstring("the recovery " + testUID + " for at most "))
		n.Expect(n.exists("/run/acted")).To(BeFalse())
	})
}

func TestDocumentHoldsTheNodeForItsTime(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := document(byName("webserver"))
		report, _ := n.recover(r)
		n.Expect(report.Result).To(Equal(ResultCleared), report.Message)
		other := recovery(byName("webserver"), "touch /run/acted")
		other.UID = "other-uid"
		n.later(r.Hold)
		held, _ := n.recover(other)
		n.Expect(held.Reason).To(Equal(ReasonOtherRecovery))
		n.later(RecoveryTimeout(r) + time.Second)
		acted, _ := n.recover(other)
		n.Expect(acted.Result).To(Equal(v1alpha1.ResultIneffective), acted.Message)
		n.Expect(n.exists("/run/acted")).To(BeTrue())
	})
}

func TestDocumentIsNotCleared(t *testing.T) {
	tests := map[string]struct {
		prepare string
		change  func(r *Recovery)
		result  v1alpha1.Result
		reason  string
	}{
		"healthy": {
			"", func(r *Recovery) { r.Check = byCommand("true") }, v1alpha1.ResultNotNeeded, ReasonCheckPassed,
		},
		"held": {"touch " + holdFile, nil, v1alpha1.ResultWithheld, ReasonHoldFile},
		"late": {
			"", func(r *Recovery) { r.NotAfter = time.Now().Add(-time.Minute) }, v1alpha1.ResultWithheld, ReasonTooLate,
		},
		"no marker": {"touch /var/lib/ssm-remediator", nil, v1alpha1.ResultWithheld, ReasonCannotRecord},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.sh("rm -rf /var/lib/ssm-remediator " + holdFile + "; " + test.prepare)
			r := document(byName("webserver"))
			if test.change != nil {
				test.change(&r)
			}
			report, _ := n.recover(r)
			n.Expect(report.Result).To(Equal(test.result), name)
			n.Expect(report.Reason).To(Equal(test.reason), name)
			n.Expect(n.sh("cat "+lockFolder+"/* 2>/dev/null || echo released")).To(Equal("released"), name)
		}
	})
}
