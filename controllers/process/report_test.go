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

func FuzzReadReport(f *testing.F) {
	f.Add(reportOf(started, probed, acting, acted, verified, done("Recovered")) + "| x\n")
	f.Add(reportOf(started, probed, acting, actedBad, stillDown, done("Failed")))
	f.Add(reportOf(started, withheld))
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
		switch r.Result {
		case v1alpha1.ResultRecovered:
			g.Expect(r.Acted && r.After.Health == v1alpha1.HealthHealthy).To(BeTrue())
		case v1alpha1.ResultIneffective, v1alpha1.ResultFailed, v1alpha1.ResultTimedOut:
			g.Expect(r.Acted && r.After.Health != v1alpha1.HealthHealthy).To(BeTrue())
		case v1alpha1.ResultNotNeeded:
			g.Expect(!r.Acted && r.Before.Health == v1alpha1.HealthHealthy).To(BeTrue())
		case v1alpha1.ResultWithheld:
			g.Expect(r.Acted).To(BeFalse())
		default:
			g.Expect(r.Result).To(BeEmpty())
		}
	})
}
