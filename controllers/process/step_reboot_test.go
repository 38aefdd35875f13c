// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// reboot is a recovery by a reboot.
func reboot(c Check) Recovery {
	r := recovery(c, "")
	r.Step = v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}}
	r.Timeout, r.Hold = 0, 10*time.Minute
	return r
}

// noRealReboot puts something harmless in front of all that could reboot the machine. It comes when the test lets it.
func (n *node) noRealReboot() {
	n.t.Helper()
	sleep, err := exec.LookPath("sleep")
	n.Expect(err).NotTo(HaveOccurred())
	n.standIn("sleep", fmt.Sprintf(`[ "$1" = %d ] || exec %s "$@"; until [ -e /run/go ]; do %[2]s 0.1; done`,
		rebootDelay/time.Second, sleep))
	for _, tool := range []string{"systemctl", "reboot", "shutdown"} {
		n.standIn(tool, `echo "`+tool+` $*" >>/run/reboots`)
	}
}

// rebootToCome reports whether a reboot has been ordered and is still to come. The pattern does not match itself.
func (n *node) rebootToCome() bool {
	return n.sh("grep -l 'ssm-remediator-reboo[t]' /proc/[0-9]*/cmdline 2>/dev/null || :") != ""
}

// rebooted lets the reboot come, and returns what was run for it.
func (n *node) rebooted() string {
	n.t.Helper()
	n.write("/run/go", "")
	n.eventually(func() bool { return !n.rebootToCome() }, "the reboot")
	return n.sh("cat /run/reboots")
}

// boots makes it another boot.
func (n *node) boots() {
	n.t.Helper()
	n.write("/run/boot_id", "22222222-0000-4000-8000-000000000000\n")
	n.sh("mount --bind /run/boot_id /proc/sys/kernel/random/boot_id")
}

func TestReboot(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.noRealReboot()
		r := reboot(byName("webserver"))
		r.Evidence = []v1alpha1.ShellCommand{"echo why"}
		report, _ := n.recover(r)
		n.Expect(n.rebootToCome()).To(BeTrue(), "it comes when the script has ended")
		n.Expect(n.exists("/run/reboots")).To(BeFalse())
		n.Expect(report.Result).To(Equal(ResultRebooting), report.Message)
		n.Expect(report.Reason).To(Equal(ReasonProcessNotRunning))
		n.Expect(report.Message).To(HavePrefix("the node reboots in 10 s: no process"))
		n.Expect(phases(report)).To(Equal([]PhaseName{PhaseStarted, PhaseEvidence, PhaseProbed, PhaseActing, PhaseDone}))
		n.Expect(report.Acted).To(BeTrue())
		n.Expect(report.ExitCode).To(BeNil())
		n.Expect(report.After).To(BeNil())
		n.Expect(report.Before.BootID).To(Equal(n.sh("cat /proc/sys/kernel/random/boot_id")))
		n.Expect(report.Evidence).To(HaveLen(1))
		n.Expect(report.Output).To(BeEmpty())
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/" + testUID)).To(BeTrue())
		n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host\nlock"))
		n.eventually(func() bool {
			// While it forks, there are two.
			return n.sh(`cd "/proc/$(grep -l 'ssm-remediator-reboo[t]' /proc/[0-9]*/cmdline | cut -d / -f 3)/fd" 2>/dev/null || exit 0
for fd in 0 1 2; do readlink "$fd"; done; for fd in 6 7 8 9; do [ ! -e "$fd" ] || echo "$fd"; done`) ==
				"/dev/null\n/dev/null\n/dev/null"
		}, "the reboot to hold nothing of the script's")

		again, _ := n.recover(r)
		n.Expect(again.Reason).To(Equal(ReasonAlreadyRan), "before the reboot")
		other := reboot(byName("webserver"))
		other.UID = "other-uid"
		held, _ := n.recover(other)
		n.Expect(held.Reason).To(Equal(ReasonOtherRecovery))
		n.Expect(held.Message).To(ContainSubstring(testUID + " (reboot)"))
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/other-uid")).To(BeFalse())

		n.Expect(n.rebooted()).To(Equal("systemctl reboot"), "exactly once")
		n.boots()
		again, _ = n.recover(r)
		n.Expect(again.Reason).To(Equal(ReasonAlreadyRan), "the agent runs it again after the boot")
		r.NotAfter = time.Now().Add(-time.Minute)
		again, _ = n.recover(r)
		n.Expect(again.Reason).To(Equal(ReasonAlreadyRan), "late, too")
		n.Expect(n.rebootToCome()).To(BeFalse())
		after := recovery(byName("webserver"), "true")
		after.UID = "after-the-boot"
		acted, _ := n.recover(after)
		n.Expect(acted.Result).To(Equal(v1alpha1.ResultIneffective), "%s: the boot has ended the lock", acted.Message)
	})
}

func TestNoReboot(t *testing.T) {
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
		"unknown": {
			"", func(r *Recovery) { r.Check = byCommand("no-such-command") }, v1alpha1.ResultWithheld, ReasonCheckNotRunnable,
		},
		"late": {
			"", func(r *Recovery) { r.NotAfter = time.Now().Add(-time.Minute) }, v1alpha1.ResultWithheld, ReasonTooLate,
		},
		"booting": {
			"", func(r *Recovery) { r.StartupGrace = 10 * 365 * 24 * time.Hour }, v1alpha1.ResultWithheld, ReasonNodeBooting,
		},
		"ran before": {
			"mkdir -p /var/lib/ssm-remediator/ran/" + testUID, nil, v1alpha1.ResultWithheld, ReasonAlreadyRan,
		},
		"no marker": {"touch /var/lib/ssm-remediator", nil, v1alpha1.ResultWithheld, ReasonCannotRecord},
	}
	underEachShell(t, func(n *node) {
		n.noRealReboot()
		for name, test := range tests {
			n.sh("rm -rf /var/lib/ssm-remediator " + holdFile + "; " + test.prepare)
			r := reboot(byName("webserver"))
			if test.change != nil {
				test.change(&r)
			}
			report, _ := n.recover(r)
			n.Expect(report.Result).To(Equal(test.result), name)
			n.Expect(report.Reason).To(Equal(test.reason), name)
			n.Expect(report.Acted).To(BeFalse(), name)
			n.Expect(n.rebootToCome()).To(BeFalse(), name)
			n.Expect(n.sh("cat "+lockFolder+"/* 2>/dev/null || echo released")).To(Equal("released"), name)
		}
		n.Expect(n.exists("/run/reboots")).To(BeFalse())
	})
}

func TestRebootByWhatThereIs(t *testing.T) {
	tests := map[string]struct{ missing, failing, want string }{
		"no systemctl":              {missing: "systemctl", want: "reboot"},
		"only shutdown":             {missing: "systemctl reboot", want: "shutdown -r now"},
		"systemd does not answer":   {failing: "systemctl", want: "systemctl reboot\nreboot"},
		"nothing but shutdown does": {failing: "systemctl reboot", want: "systemctl reboot\nreboot\nshutdown -r now"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, shells()[0])
			n.noRealReboot()
			for tool := range strings.FieldsSeq(test.missing) {
				n.Expect(os.Remove(n.front + "/" + tool)).To(Succeed())
			}
			for tool := range strings.FieldsSeq(test.failing) {
				n.standIn(tool, `echo "`+tool+` $*" >>/run/reboots; exit 1`)
			}
			report, _ := n.recover(reboot(byName("webserver")), "env", "PATH="+n.front+":"+n.bare(""))
			n.Expect(report.Result).To(Equal(ResultRebooting), report.Message)
			var ran []string
			for line := range strings.Lines(n.rebooted()) {
				ran = append(ran, strings.TrimSpace(line))
			}
			n.Expect(strings.Join(ran, "\n")).To(Equal(test.want))
		})
	}
}

func TestNothingToRebootWith(t *testing.T) {
	underEachShell(t, func(n *node) {
		report, _ := n.recover(reboot(byName("webserver")), "env", "PATH="+n.bare(""))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(report.Reason).To(Equal(ReasonMissingTool))
		n.Expect(report.Message).To(ContainSubstring("no systemctl, reboot or shutdown"))
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/" + testUID)).To(BeFalse())
		n.Expect(n.sh("cat " + lockFolder + "/*")).To(Equal("released"))
	})
}

// TestOneOfManyRebootsIsOrdered delivers several recoveries, and one of them often, at once.
func TestOneOfManyRebootsIsOrdered(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.noRealReboot()
		reports := n.together(6, func(i int) Recovery {
			r := reboot(byName("webserver"))
			r.UID = fmt.Sprintf("%s-%d", testUID, i/2)
			return r
		})
		counts := results(reports)
		n.Expect(counts["Rebooting"]).To(Equal(1), "%v", counts)
		n.Expect(counts["Withheld/"+ReasonOtherRecovery]+counts["Withheld/"+ReasonAlreadyRan]).To(Equal(5), "%v", counts)
		n.Expect(n.rebooted()).To(Equal("systemctl reboot"))
	})
}
