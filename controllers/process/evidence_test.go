// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// withEvidence is a recovery whose step says that it has run.
func withEvidence(c Check, commands ...v1alpha1.ShellCommand) Recovery {
	r := recovery(c, "touch /run/acted")
	r.Evidence = commands
	return r
}

func exits(r Report) []any {
	var codes []any
	for _, e := range r.Evidence {
		if e.ExitCode == nil {
			codes = append(codes, "ended")
		} else {
			codes = append(codes, int(*e.ExitCode))
		}
	}
	return codes
}

func TestEvidence(t *testing.T) {
	underEachShell(t, func(n *node) {
		report, a := n.recover(withEvidence(byName("webserver"),
			"[ ! -e /run/acted ] && [ ! -e /var/lib/ssm-remediator/ran/"+testUID+" ] && echo untouched; pwd; echo \"home ${HOME-none}\"",
			"echo why >&2; echo; exit 3",
			"kill -KILL $$",
			"no-such-command 2>/dev/null",
		))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultIneffective), report.Message)
		n.Expect(phases(report)).To(Equal(phaseOrder))
		n.Expect(exits(report)).To(Equal([]any{0, 3, 137, 127}))
		n.Expect(report.Evidence[0].Output).To(Equal("untouched\n/\nhome none"))
		n.Expect(report.Evidence[1].Output).To(Equal("why"))
		n.Expect(report.Evidence[2].Output).To(BeEmpty())
		n.Expect(report.Output).To(BeEmpty(), "the step printed nothing")
		n.Expect(report.ExitCode).To(HaveValue(BeEquivalentTo(0)))
		n.Expect(a.stderr).To(BeEmpty())
		n.Expect(n.exists("/run/acted")).To(BeTrue())
		n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host\nlock"), "nothing else is left behind")
	})
}

func TestEvidenceThatHangs(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := withEvidence(byName("webserver"), "echo a; setsid sleep 4711 & exec sleep 4711", "echo b")
		script, err := RecoveryScript(r)
		n.Expect(err).NotTo(HaveOccurred())
		quick := strings.Replace(script, "SR_EVIDENCE_TIMEOUT='10'", "SR_EVIDENCE_TIMEOUT='1'", 1)
		n.Expect(quick).NotTo(Equal(script))
		report, err := ReadReport(n.run(quick).stdout, r.Binding)
		n.Expect(err).NotTo(HaveOccurred())
		n.Expect(report.Result).To(Equal(v1alpha1.ResultIneffective), report.Message)
		n.Expect(exits(report)).To(Equal([]any{"ended", 0}))
		n.Expect(report.Evidence[0].Output).To(Equal("a"), "and not what our shells say about its end")
		n.Expect(report.Evidence[1].Output).To(Equal("b"))
		n.eventually(func() bool { return len(n.pids("sleep")) == 0 }, "everything that it started to end")
		n.Expect(n.exists("/run/acted")).To(BeTrue())
	})
}

func TestEvidenceThatLeavesAProcessWithItsOutput(t *testing.T) {
	underEachShell(t, func(n *node) {
		report, a := n.recover(withEvidence(byName("webserver"), v1alpha1.ShellCommand(n.program("leftover")+" 4711 & echo a")))
		n.Expect(exits(report)).To(Equal([]any{0}))
		n.Expect(report.Evidence[0].Output).To(Equal("a"))
		n.Expect(a.took).To(BeNumerically("<", within))
		n.Expect(n.pids("leftover")).To(HaveLen(1))
	})
}

// TestEvidenceIsOfAProcessThatIsDown has situations in which nothing is to be looked into.
func TestEvidenceIsOfAProcessThatIsDown(t *testing.T) {
	underEachShell(t, func(n *node) {
		tests := map[string]struct {
			prepare string
			check   Check
			result  v1alpha1.Result
		}{
			"healthy": {"", byCommand("true"), v1alpha1.ResultNotNeeded},
			"held":    {"touch " + holdFile, byName("webserver"), v1alpha1.ResultWithheld},
			"unknown": {"rm " + holdFile, byCommand("no-such-command"), v1alpha1.ResultWithheld},
		}
		for _, name := range []string{"healthy", "held", "unknown"} {
			test := tests[name]
			n.sh(test.prepare)
			report, _ := n.recover(withEvidence(test.check, "touch /run/looked"))
			n.Expect(report.Result).To(Equal(test.result), name)
			n.Expect(report.Evidence).To(BeNil(), name)
			n.Expect(n.exists("/run/looked")).To(BeFalse(), name)
		}
	})
}

// TestEvidenceThatTakesTime has the process looked at again after it: what is acted on is not old news.
func TestEvidenceThatTakesTime(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.later(0)
		const later = `; read -r up rest </run/uptime; echo "$((${up%.*} + 2)).00 1.00" >/run/uptime`
		report, _ := n.recover(withEvidence(byFile(), "touch /run/healthy; echo seen"+later))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultNotNeeded), report.Message)
		n.Expect(report.Evidence).To(HaveLen(1))
		n.Expect(report.Evidence[0].Output).To(Equal("seen"))
		n.Expect(phases(report)).To(Equal([]PhaseName{PhaseStarted, PhaseEvidence, PhaseProbed, PhaseDone}))

		n.sh("rm /run/healthy")
		report, _ = n.recover(withEvidence(byFile(), "touch "+holdFile+later))
		n.Expect(report.Reason).To(Equal(ReasonHoldFile))
		n.Expect(n.exists("/run/acted")).To(BeFalse())

		n.sh("rm " + holdFile)
		report, _ = n.recover(withEvidence(byCommand("echo look >>/run/looks; false"), "true"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultIneffective), report.Message)
		n.Expect(n.sh("wc -l </run/looks")).To(Equal("2"), "before and after the step, because this evidence took no time")
	})
}

// TestEvidenceKeepsNothingFromGoingOn has a recovery that has to begin soon.
func TestEvidenceKeepsNothingFromGoingOn(t *testing.T) {
	underEachShell(t, func(n *node) {
		now := time.Now()
		n.standIn("date", "cat /run/now")
		n.write("/run/now", epoch(now))
		r := withEvidence(byName("webserver"), "echo a", v1alpha1.ShellCommand("echo "+epoch(now.Add(time.Minute))+" >/run/now"), "echo c")
		r.NotAfter = now.Add(time.Minute + evidenceTimeout)
		report, _ := n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultIneffective), report.Message)
		n.Expect(exits(report)).To(Equal([]any{0, 0}), "there might not be the time for the third, and another look")

		r.UID += "-2"
		report, _ = n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultIneffective), report.Message)
		n.Expect(report.Evidence).To(BeNil())
		n.Expect(phases(report)).To(Equal(allPhases))
	})
}

func TestEvidenceMakesItTooLate(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.standIn("date", "cat /run/now")
		n.write("/run/now", epoch(time.Now()))
		report, _ := n.recover(withEvidence(byName("webserver"), "echo 9000000000 >/run/now"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(report.Reason).To(Equal(ReasonTooLate))
		n.Expect(exits(report)).To(Equal([]any{0}), "and is kept")
		n.Expect(n.exists("/run/acted")).To(BeFalse())
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/" + testUID)).To(BeFalse())
	})
}

func TestOutputOfTheEvidence(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := withEvidence(byName("webserver"),
			v1alpha1.ShellCommand("echo '"+head+"done time=1 result=Recovered reason=X exit=0 msg=forged'; echo '2| b'; printf '| c'"),
			`printf '\033[31mred\033[0m\000\177\tx\r\n\n\n y \n'; printf 'a\377b'`,
			"yes 0123456 | head -c 30000000",
			`printf '%s\n' '%s %d \n $HOME'`,
		)
		report, a := n.recover(r)
		n.Expect(exits(report)).To(Equal([]any{0, 0, 0, 0}))
		n.Expect(report.Evidence[0].Output).To(Equal(head + "done time=1 result=Recovered reason=X exit=0 msg=forged\n2| b\n| c"))
		n.Expect(report.Evidence[1].Output).To(Equal("[31mred[0m\tx\n y \na\uFFFDb"))
		n.Expect(report.Evidence[2].Output).To(HaveLen(maxEvidenceBytes - 1))
		n.Expect(report.Evidence[3].Output).To(Equal(`%s %d \n $HOME`))
		n.Expect(report.Output).To(BeEmpty())
		n.Expect(a.stderr).To(BeEmpty())
	})
}
