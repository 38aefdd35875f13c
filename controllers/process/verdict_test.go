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

const testBoot = "d0772f63-6996-42b5-98d8-0f1afcd2f533"

// words are what follows the kind in the line of a verdict.
const words = "time=1700000000 health=Unhealthy reason=ProcessNotRunning boot=" + testBoot + " uptime=4242 msg=it is down"

const verdictLine = protocol + " " + testBinding + " probed " + words

func TestReadVerdict(t *testing.T) {
	g := NewWithT(t)
	want := Verdict{
		Health: v1alpha1.HealthUnhealthy, Reason: ReasonProcessNotRunning, Message: "it is down",
		NodeTime: time.Unix(1700000000, 0).UTC(), BootID: testBoot, Uptime: 4242 * time.Second, Failures: 1,
	}
	for name, output := range map[string]string{
		"as printed":              verdictLine + "\n",
		"without line break":      verdictLine,
		"Windows":                 verdictLine + "\r\n",
		"merged with stderr":      verdictLine + "\n\n----------ERROR-------\nsh: 1: x: not found\nfailed to run commands: exit status 1",
		"of others besides":       protocol + " other/1 probed " + words + "\n" + verdictLine + "\n",
		"a shell complains first": "warning: x\n" + verdictLine + "\n",
		"with more words":         strings.Replace(verdictLine, "uptime=", "new=x uptime=", 1),
	} {
		v, err := ReadVerdict(output, testBinding)
		g.Expect(err).NotTo(HaveOccurred(), name)
		g.Expect(v).To(Equal(want), name)
	}
}

func TestReadVerdictOfANodeThatDoesNotKnow(t *testing.T) {
	g := NewWithT(t)
	v, err := ReadVerdict(protocol+" "+testBinding+" probed time=- health=Unknown reason=MissingTool boot=- uptime=- msg=", testBinding)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(v).To(Equal(Verdict{Health: v1alpha1.HealthUnknown, Reason: ReasonMissingTool}))
}

func TestReadVerdictOfAWatch(t *testing.T) {
	for words, want := range map[string]Verdict{
		"health=Unhealthy failures=3":   {Health: v1alpha1.HealthUnhealthy, Failures: 3},
		"health=Unhealthy failures=100": {Health: v1alpha1.HealthUnhealthy, Failures: 100},
		"health=Unhealthy":              {Health: v1alpha1.HealthUnhealthy, Failures: 1},
		"health=Healthy watch=busy":     {Health: v1alpha1.HealthHealthy, Busy: true},
		"health=Healthy":                {Health: v1alpha1.HealthHealthy},
		"health=Held":                   {Health: v1alpha1.HealthHeld},
	} {
		want.Reason = "Any"
		v, err := ReadVerdict(protocol+" a probed time=- reason=Any boot=- uptime=- "+words+" msg=", "a")
		NewWithT(t).Expect(err).NotTo(HaveOccurred(), words)
		NewWithT(t).Expect(v).To(Equal(want), words)
	}
}

func TestReadVerdictNeverGuesses(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(verdictLine, old, with, 1) }
	for name, output := range map[string]string{
		"nothing":            "",
		"only errors":        "failed to run commands: exit status 1",
		"another binding":    replace(testBinding, "probe/other"),
		"a longer binding":   replace(testBinding, testBinding+"0"),
		"a shorter binding":  replace(testBinding, testBinding[:8]),
		"another version":    replace("/v1", "/v2"),
		"within a line":      "x " + verdictLine,
		"with an indent":     " " + verdictLine,
		"after a tab":        "\t" + verdictLine,
		"quoted":             "| " + verdictLine,
		"two blanks":         replace(testBinding+" ", testBinding+"  "),
		"another kind":       replace("probed", "done"),
		"no kind":            protocol + " " + testBinding + " ",
		"two verdicts":       verdictLine + "\n" + verdictLine,
		"contradicting":      verdictLine + "\n" + replace("Unhealthy", "Healthy"),
		"besides a phase":    verdictLine + "\n" + protocol + " " + testBinding + " acting time=1 msg=",
		"no health":          replace("health=Unhealthy ", ""),
		"unknown health":     replace("Unhealthy", "Sick"),
		"health twice":       replace("health=", "health=Healthy health="),
		"no reason":          replace("reason=ProcessNotRunning ", ""),
		"reason of markup":   replace("ProcessNotRunning", "<b>"),
		"no time":            replace("time=1700000000 ", ""),
		"time of words":      replace("1700000000", "now"),
		"negative time":      replace("1700000000", "-17"),
		"very long time":     replace("1700000000", "1700000000000000000"),
		"no boot":            replace("boot="+testBoot+" ", ""),
		"hostile boot":       replace(testBoot, "../x"),
		"no uptime":          replace("uptime=4242 ", ""),
		"long uptime":        replace("4242", "999999999999"),
		"no failures":        replace("uptime=", "failures=0 uptime="),
		"unknown failures":   replace("uptime=", "failures=- uptime="),
		"many failures":      replace("uptime=", "failures=101 uptime="),
		"failures of others": strings.Replace(replace("uptime=", "failures=2 uptime="), "Unhealthy", "Healthy", 1),
		"busy and unhealthy": replace("uptime=", "watch=busy uptime="),
		"another watch":      strings.Replace(replace("uptime=", "watch=x uptime="), "Unhealthy", "Healthy", 1),
		"cut before message": strings.TrimSuffix(verdictLine, "msg=it is down"),
		"cut within a word":  verdictLine[:len(protocol)+len(testBinding)+40],
	} {
		v, err := ReadVerdict(output, testBinding)
		NewWithT(t).Expect(err).To(HaveOccurred(), name)
		NewWithT(t).Expect(v).To(BeZero(), name)
	}
	_, err := ReadVerdict("x", testBinding)
	NewWithT(t).Expect(err).To(MatchError(ErrNoVerdict))
	_, err = ReadVerdict(verdictLine, "no binding")
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("reading binding")))
}

func TestReadVerdictCleansTheMessage(t *testing.T) {
	g := NewWithT(t)
	v, err := ReadVerdict(verdictLine+"\x1b[31m\x00\xff\u202e"+strings.Repeat("ü", 1000), testBinding)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(v.Message).To(HavePrefix("it is down[31m\uFFFDü"))
	g.Expect(len(v.Message)).To(BeNumerically("<=", maxMessageBytes))
}

func FuzzReadVerdict(f *testing.F) {
	f.Add(verdictLine, testBinding)
	f.Add(verdictLine+"\n"+verdictLine, testBinding)
	f.Add(strings.Replace(verdictLine, "4242", "-", 1), testBinding)
	f.Add(protocol+" a probed msg=", "a")
	f.Add(strings.Replace(verdictLine, "uptime=", "failures=2 uptime=", 1), testBinding)
	f.Add(protocol+" a probed time=- health=Healthy reason=Any boot=- uptime=- watch=busy msg=", "a")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, output, binding string) {
		v, err := ReadVerdict(output, binding)
		g := NewWithT(t)
		if err != nil {
			g.Expect(v).To(BeZero())
			return
		}
		g.Expect(("\n" + output)).To(ContainSubstring("\n" + protocol + " " + binding + " probed "))
		g.Expect(v.Health).To(BeElementOf(
			v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthHeld, v1alpha1.HealthUnknown))
		g.Expect(v.Reason).To(MatchRegexp(`^[A-Z][A-Za-z]*$`))
		g.Expect(v.Message).To(BeElementOf(Printable(v.Message, maxMessageBytes, "")))
		g.Expect(v.Uptime).To(BeNumerically(">=", 0))
		g.Expect(v.Failures >= 1 && v.Failures <= maxFailures).To(Equal(v.Health == v1alpha1.HealthUnhealthy))
		g.Expect(v.Busy && v.Health != v1alpha1.HealthHealthy).To(BeFalse())
	})
}
