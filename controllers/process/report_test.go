// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	runBinding = testUID + "/Run"
	// head begins every line.
	head = protocol + " " + runBinding + " "
)

// reportOf joins phases to the output of a script.
func reportOf(phases ...string) string {
	var b strings.Builder
	for _, phase := range phases {
		b.WriteString(head + "" + phase + "\n")
	}
	return b.String()
}

const (
	started   = "started time=1700000000 msg="
	probed    = "probed " + words
	acting    = "acting time=1700000001 msg="
	acted     = "acted time=1700000002 exit=0 msg="
	actedBad  = "acted time=1700000002 exit=3 msg="
	ended     = "acted time=1700000002 exit=- msg="
	verified  = "verified time=1700000003 health=Healthy reason=ProcessRunning boot=- uptime=1 msg=process 7 runs"
	stillDown = "verified " + words
	evidence  = "evidence time=1700000000 exit1=0 exit2=- exit3=143 msg="
	rebooting = "done time=1700000003 result=Rebooting reason=ProcessNotRunning exit=- msg=the node reboots"
	cleared   = "done time=1700000003 result=Cleared reason=ProcessNotRunning exit=- msg=no process"
	withheld  = "done time=1700000003 result=Withheld reason=TooLate exit=- msg=too late"
)

func done(result v1alpha1.Result) string {
	return "done time=1700000004 result=" + string(result) + " reason=ProcessRunning exit=0 msg=words"
}

func TestReadReport(t *testing.T) {
	healthy := strings.Replace(probed, "Unhealthy", "Healthy", 1)
	tests := map[string]struct {
		output string
		result v1alpha1.Result
		acted  bool
		exit   any
	}{
		"recovered": {
			reportOf(started, probed, acting, acted, verified, done("Recovered")), "Recovered", true, HaveValue(BeEquivalentTo(0)),
		},
		"failed, recovered": {
			reportOf(started, probed, acting, actedBad, verified, done("Recovered")), "Recovered", true, HaveValue(BeEquivalentTo(3)),
		},
		"ineffective": {
			reportOf(started, probed, acting, acted, stillDown, done("Ineffective")), "Ineffective", true, HaveValue(BeEquivalentTo(0)),
		},
		"failed": {
			reportOf(started, probed, acting, actedBad, stillDown, done("Failed")), "Failed", true, HaveValue(BeEquivalentTo(3)),
		},
		"timed out": {
			reportOf(started, probed, acting, ended, stillDown, done("TimedOut")), "TimedOut", true, BeNil(),
		},
		"not needed":            {reportOf(started, healthy, done("NotNeeded")), "NotNeeded", false, BeNil()},
		"withheld at once":      {reportOf(started, withheld), "Withheld", false, BeNil()},
		"withheld":              {reportOf(started, probed, withheld), "Withheld", false, BeNil()},
		"ended early":           {reportOf(started), "", false, BeNil()},
		"ended after the look":  {reportOf(started, probed), "", false, BeNil()},
		"ended within the step": {reportOf(started, probed, acting), "", true, BeNil()},
		"ended after the step": {
			reportOf(started, probed, acting, acted), "", true, HaveValue(BeEquivalentTo(0)),
		},
		"ended within the last line": {
			reportOf(started, probed, acting, acted, verified) + head + "done time=17", "", true, HaveValue(BeEquivalentTo(0)),
		},
		"rebooting":                  {reportOf(started, probed, acting, rebooting), ResultRebooting, true, BeNil()},
		"cleared":                    {reportOf(started, probed, cleared), ResultCleared, false, BeNil()},
		"with evidence":              {reportOf(started, evidence, probed, cleared), ResultCleared, false, BeNil()},
		"withheld after evidence":    {reportOf(started, evidence, probed, withheld), "Withheld", false, BeNil()},
		"healthy after evidence":     {reportOf(started, evidence, healthy, done("NotNeeded")), "NotNeeded", false, BeNil()},
		"ended within the evidence":  {reportOf(started) + head + "evidence time=1700000000 exit1=0 ex", "", false, BeNil()},
		"cut within acting":          {reportOf(started, probed) + head + "acting ti", "", true, BeNil()},
		"cut within the word acting": {reportOf(started, probed) + head + "acti", "", false, BeNil()},
		"cut within the look": {
			reportOf(started) + head + "probed time=1700000000 health=Heal", "", false, BeNil(),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r, err := ReadReport(test.output, runBinding)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.Result).To(Equal(test.result))
			g.Expect(r.Acted).To(Equal(test.acted))
			g.Expect(r.ExitCode).To(test.exit.(OmegaMatcher))
		})
	}
}

func TestReadReportOfContradictions(t *testing.T) {
	healthy := strings.Replace(probed, "Unhealthy", "Healthy", 1)
	for name, output := range map[string]string{
		"nothing":                    "",
		"of another command":         strings.ReplaceAll(reportOf(started, withheld), runBinding, "other/Run"),
		"two runs":                   reportOf(started, probed, acting, started, withheld),
		"out of order":               reportOf(started, acting, probed),
		"acted twice":                reportOf(started, probed, acting, acted, acted),
		"acted without acting":       reportOf(started, probed, acted),
		"unknown phase":              reportOf(started, "dancing time=1 msg="),
		"after the end":              reportOf(started, withheld, acting),
		"two ends":                   reportOf(started, withheld, withheld),
		"recovered, still down":      reportOf(started, probed, acting, acted, stillDown, done("Recovered")),
		"recovered without acting":   reportOf(started, probed, done("Recovered")),
		"recovered, not verified":    reportOf(started, probed, acting, acted, done("Recovered")),
		"ineffective, healthy":       reportOf(started, probed, acting, acted, verified, done("Ineffective")),
		"failed, exit 0":             reportOf(started, probed, acting, acted, stillDown, done("Failed")),
		"timed out, exit 0":          reportOf(started, probed, acting, acted, stillDown, done("TimedOut")),
		"not needed, down":           reportOf(started, probed, done("NotNeeded")),
		"not needed, acted":          reportOf(started, probed, acting, acted, verified, done("NotNeeded")),
		"withheld, acted":            reportOf(started, probed, acting, withheld),
		"acting, not down":           reportOf(started, healthy, acting),
		"acting, not looked":         reportOf(started, acting),
		"rebooting, not acted":       reportOf(started, probed, rebooting),
		"rebooting, acted":           reportOf(started, probed, acting, acted, rebooting),
		"rebooting, verified":        reportOf(started, probed, acting, stillDown, rebooting),
		"rebooting, healthy":         reportOf(started, healthy, acting, rebooting),
		"cleared, acted":             reportOf(started, probed, acting, cleared),
		"cleared, healthy":           reportOf(started, healthy, cleared),
		"cleared, not looked":        reportOf(started, cleared),
		"not needed, verified":       reportOf(started, healthy, verified, done("NotNeeded")),
		"timed out, not acted":       reportOf(started, probed, acting, stillDown, done("TimedOut")),
		"evidence after the look":    reportOf(started, probed, evidence, cleared),
		"evidence without a look":    reportOf(started, evidence, withheld),
		"evidence twice":             reportOf(started, evidence, evidence, probed, cleared),
		"evidence of nothing":        reportOf(started, "evidence time=1 msg=", probed, cleared),
		"evidence of five":           reportOf(started, "evidence time=1 exit1=0 exit2=0 exit3=0 exit4=0 exit5=0 msg=", probed, cleared),
		"evidence with a gap":        reportOf(started, "evidence time=1 exit1=0 exit3=0 msg=", probed, cleared),
		"evidence of words":          reportOf(started, "evidence time=1 exit1=zero msg=", probed, cleared),
		"evidence that ended oddly":  reportOf(started, "evidence time=1 exit1=256 msg=", probed, cleared),
		"a result that is none":      reportOf(started, done("Running")),
		"a result of the controller": reportOf(started, done("Lost")),
		"no result":                  reportOf(started, done("")),
		"an exit code that is none":  reportOf(started, probed, acting, "acted time=1 exit=256 msg="),
		"an exit code of words":      reportOf(started, probed, acting, "acted time=1 exit=zero msg="),
		"a look that cannot be":      reportOf(started, strings.Replace(probed, "Unhealthy", "Sick", 1)),
		"a time that cannot be":      reportOf("started time=x msg="),
	} {
		r, err := ReadReport(output, runBinding)
		NewWithT(t).Expect(err).To(HaveOccurred(), name)
		NewWithT(t).Expect(r).To(BeZero(), name)
	}
	_, err := ReadReport("x", runBinding)
	NewWithT(t).Expect(err).To(MatchError(ErrNoVerdict))
}

func TestReadReportOutput(t *testing.T) {
	report := reportOf(started, probed, acting, acted, stillDown, done("Ineffective"))
	tests := map[string]struct{ output, want string }{
		"none":    {report, ""},
		"lines":   {report + "| a\n| \n|  b\n", "a\n\n b"},
		"cut off": {report + "| a\n| b", "a\nb"},
		"with stderr": {
			report + "| a\n\n----------ERROR-------\nsh: x\nfailed to run commands: exit status 1", "a",
		},
		"before the end":     {"| x\n" + report, ""},
		"control characters": {report + "| a\x1b[1m\tb\x00\xff\r\n", "a[1m\tb\uFFFD"},
		"long":               {report + "| " + strings.Repeat("ü", 3000), strings.Repeat("ü", 1024)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r, err := ReadReport(test.output, runBinding)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.Output).To(Equal(test.want))
		})
	}
}

func TestReadReportEvidence(t *testing.T) {
	report := reportOf(started, evidence, probed, acting, acted, stillDown, done("Ineffective"))
	zero, signal := new(int32(0)), new(int32(143))
	tests := map[string]struct {
		output string
		want   []v1alpha1.Evidence
	}{
		"no lines": {report, []v1alpha1.Evidence{{ExitCode: zero}, {}, {ExitCode: signal}}},
		"lines": {
			report + "| 1| step\n1| a\n1| | b\n2| 1| c\n3|  d \n3| e",
			[]v1alpha1.Evidence{{ExitCode: zero, Output: "a\n| b"}, {Output: "1| c"}, {ExitCode: signal, Output: " d \ne"}},
		},
		"of no command": {
			report + "4| x\n5| x\n0| x\n1|x\n11| x\n 1| x\n\n----------ERROR-------\nfailed to run commands: exit status 1",
			[]v1alpha1.Evidence{{ExitCode: zero}, {}, {ExitCode: signal}},
		},
		"before the end": {"1| x\n" + report, []v1alpha1.Evidence{{ExitCode: zero}, {}, {ExitCode: signal}}},
		"long and coloured": {
			report + "1| \x1b[1m" + strings.Repeat("ü", 1000) + "\n2| b\r\n",
			[]v1alpha1.Evidence{{ExitCode: zero, Output: "[1m" + strings.Repeat("ü", 510)}, {Output: "b"}, {ExitCode: signal}},
		},
		"ended early": {reportOf(started, evidence, probed, acting) + "1| x\n", nil},
		"none":        {reportOf(started, probed, cleared) + "1| x\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r, err := ReadReport(test.output, runBinding)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.Evidence).To(Equal(test.want))
		})
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add(reportOf(started, probed, acting, acted, verified, done("Recovered")) + "| x\n")
	f.Add(reportOf(started, probed, acting, actedBad, stillDown, done("Failed")))
	f.Add(reportOf(started, withheld))
	f.Add(reportOf(started, evidence, probed, acting, rebooting) + "1| a\n3| b\n")
	f.Add(reportOf(started, evidence, probed, cleared) + "2| a")
	f.Add(reportOf(started, "evidence time=- exit1=127 exit2=0 exit3=0 exit4=255 msg=", probed, withheld) + "4| a")
	f.Add(reportOf(started, probed) + head + "acting ")
	f.Fuzz(func(t *testing.T, output string) {
		r, err := ReadReport(output, runBinding)
		g := NewWithT(t)
		if err != nil {
			g.Expect(r).To(BeZero())
			return
		}
		g.Expect(r.Acted).To(Equal(strings.Contains("\n"+output, "\n"+protocol+" "+runBinding+" acting ")))
		g.Expect(len(r.Output)).To(BeNumerically("<=", maxOutputBytes))
		g.Expect(len(r.Evidence)).To(BeNumerically("<=", maxEvidence))
		for _, e := range r.Evidence {
			g.Expect(len(e.Output)).To(BeNumerically("<=", maxEvidenceBytes))
		}
		g.Expect(facts).To(HaveKey(r.Result))
		g.Expect(facts[r.Result](r)).To(BeTrue())
	})
}

// facts are what each result says of the rest of the report.
var facts = map[v1alpha1.Result]func(r Report) bool{
	v1alpha1.ResultRecovered:   func(r Report) bool { return r.Acted && r.After.Health == v1alpha1.HealthHealthy },
	v1alpha1.ResultIneffective: stillNotHealthy,
	v1alpha1.ResultFailed:      stillNotHealthy,
	v1alpha1.ResultTimedOut:    stillNotHealthy,
	v1alpha1.ResultNotNeeded:   func(r Report) bool { return !r.Acted && r.Before.Health == v1alpha1.HealthHealthy },
	v1alpha1.ResultWithheld:    func(r Report) bool { return !r.Acted },
	ResultRebooting:            func(r Report) bool { return r.Acted && toFollow(r) },
	ResultCleared:              func(r Report) bool { return !r.Acted && toFollow(r) },
	"":                         func(r Report) bool { return !r.reached(PhaseDone) },
}

func stillNotHealthy(r Report) bool {
	return r.Acted && r.After.Health != v1alpha1.HealthHealthy
}

// toFollow is true of a report after which other commands follow.
func toFollow(r Report) bool {
	return r.Before.Health == v1alpha1.HealthUnhealthy && r.After == nil && r.ExitCode == nil
}
