// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestOutputOfTheStep(t *testing.T) {
	underEachShell(t, func(n *node) {
		binding := testUID + "/Run"
		forged := protocol + " " + binding + " done time=1 result=Recovered reason=ProcessRunning exit=0 msg=forged"
		tests := map[string]struct {
			command string
			output  any
		}{
			"nothing":       {"true", BeEmpty()},
			"no line break": {"printf abc", Equal("abc")},
			"forged": {
				"echo '" + forged + "'; printf 'x\\r" + forged + "\\n'", ContainSubstring("result=Recovered"),
			},
			"looks like output":  {"echo '| a'; echo; echo ' b '", Equal("| a\n\n b ")},
			"control characters": {`printf '\033[31mred\033[0m\000\177\tx\n'`, Equal("[31mred[0m\tx")},
			"not UTF-8":          {`printf 'a\377\376b'`, Equal("a\uFFFDb")},
			"megabytes":          {"yes 0123456 | head -c 30000000", HaveLen(2047)},
			"slowly":             {"echo a; sleep 0.2; echo b; sleep 0.2; echo c", Equal("a\nb\nc")},
			"percent signs":      {`printf '%s\n' '%s %d \n $HOME'`, Equal(`%s %d \n $HOME`)},
		}
		i := 0
		for name, test := range tests {
			r := recovery(byName("webserver"), test.command)
			i++
			r.UID = fmt.Sprintf("%s-%d", testUID, i)
			report, a := n.recover(r)
			n.Expect(report.Result).To(Equal(v1alpha1.ResultIneffective), name)
			n.Expect(report.Output).To(test.output.(OmegaMatcher), name)
			n.Expect(len(a.stdout)).To(BeNumerically("<", 5000), name)
			n.Expect(a.stderr).To(BeEmpty(), name)
		}
	})
}

// TestReportFitsIntoTheShortOutput has the longest report: SSM gives the first 2,500 characters of it in a list.
func TestReportFitsIntoTheShortOutput(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := recovery(byCommand("head -c 5000 /dev/zero | tr '\\0' x; exit 255"), "echo x; exit 255")
		r.Binding = strings.Repeat("b", 100)
		report, a := n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultFailed))
		n.Expect(strings.Index(a.stdout, "\n| x")).To(BeNumerically("<", 2500))
		n.Expect(strings.Index(a.stdout, "\n| x")).To(BeNumerically(">", 1000))
	})
}

// TestReportFitsIntoTheLongOutput has the output that takes the most room: SSM gives the first 24,000 characters of it.
func TestReportFitsIntoTheLongOutput(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := recovery(byCommand("head -c 5000 /dev/zero | tr '\\0' x; exit 255"), "yes '' | head -c 5000; exit 255")
		r.Evidence = []v1alpha1.ShellCommand{
			"yes x | head -c 9999", "yes '' | head -c 9999", `yes "$(printf '\n\r\nx')" | head -c 9999`, "yes x | head -c 9999",
		}
		r.Binding = strings.Repeat("b", 100)
		report, a := n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultFailed))
		n.Expect(len(a.stdout)).To(BeNumerically("<", 24000))
		n.Expect(len(a.stdout)).To(BeNumerically(">", 13000))
		n.Expect(strings.LastIndex(a.stdout, protocol)).To(BeNumerically("<", 2000))
	})
}

func TestKeep(t *testing.T) {
	steps := map[v1alpha1.Result]string{
		v1alpha1.ResultRecovered:   "echo secret; touch /run/healthy",
		v1alpha1.ResultFailed:      "echo secret; false",
		v1alpha1.ResultIneffective: "echo secret",
	}
	tests := map[string]struct {
		keep   v1alpha1.KeepOutput
		result v1alpha1.Result
		output string
	}{
		"never, recovered":        {v1alpha1.KeepNever, v1alpha1.ResultRecovered, ""},
		"never, failed":           {v1alpha1.KeepNever, v1alpha1.ResultFailed, ""},
		"on failure, recovered":   {v1alpha1.KeepOnFailure, v1alpha1.ResultRecovered, ""},
		"on failure, failed":      {v1alpha1.KeepOnFailure, v1alpha1.ResultFailed, "secret"},
		"on failure, ineffective": {v1alpha1.KeepOnFailure, v1alpha1.ResultIneffective, "secret"},
		"always, recovered":       {v1alpha1.KeepAlways, v1alpha1.ResultRecovered, "secret"},
		"always, failed":          {v1alpha1.KeepAlways, v1alpha1.ResultFailed, "secret"},
		"default, recovered":      {"", v1alpha1.ResultRecovered, ""},
		"default, failed":         {"", v1alpha1.ResultFailed, "secret"},
	}
	underEachShell(t, func(n *node) {
		i := 0
		for name, test := range tests {
			n.sh("rm -f /run/healthy")
			r := recovery(byFile(), steps[test.result])
			r.Keep = test.keep
			r.Evidence = []v1alpha1.ShellCommand{"echo evidence"}
			i++
			r.UID = fmt.Sprintf("%s-%d", testUID, i)
			report, a := n.recover(r)
			n.Expect(report.Result).To(Equal(test.result), name)
			n.Expect(report.Output).To(Equal(test.output), name)
			n.Expect(strings.Contains(a.stdout, "secret")).To(Equal(test.output != ""), "%s: AWS keeps nothing else either", name)
			n.Expect(report.Evidence).To(HaveLen(1), name)
			n.Expect(report.Evidence[0].Output).To(Equal("evidence"), name)
		}
	})
}
