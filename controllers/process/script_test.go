// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// TestScriptSizes has the sizes in a golden file, because every probe of every node pays for them.
func TestScriptSizes(t *testing.T) {
	g := NewWithT(t)
	processes := []v1alpha1.ProcessSpec{
		{Name: "apache2"}, {SystemdUnit: "httpd.service"}, {PIDFile: "/run/httpd.pid"}, {Command: "true"},
	}
	recoveryOf := func(r Recovery) string {
		r.NotAfter = time.Unix(1700000000, 0)
		script, err := RecoveryScript(r)
		g.Expect(err).NotTo(HaveOccurred())
		return script
	}
	var sizes strings.Builder
	for i, way := range []string{"name", "systemdUnit", "pidFile", "command"} {
		c := check(processes[i])
		probe, err := ProbeScript(c, testBinding)
		g.Expect(err).NotTo(HaveOccurred())
		watch, err := WatchScript(c, Watch{Duration: time.Minute, Threshold: 2}, testBinding)
		g.Expect(err).NotTo(HaveOccurred())
		verify, err := VerifyScript(c, testUID, testBinding, ReleaseHealthy)
		g.Expect(err).NotTo(HaveOccurred())
		command := recovery(c, "systemctl restart httpd")
		scripts := []string{probe, watch, verify, recoveryOf(command), "", recoveryOf(document(c)), recoveryOf(reboot(c))}
		command.Evidence = []v1alpha1.ShellCommand{"systemctl status httpd"}
		scripts[4] = recoveryOf(command)
		fmt.Fprintf(&sizes, "%-11s", way)
		for i, name := range []string{"probe", "watch", "verify", "command", "with evidence", "document", "reboot"} {
			g.Expect(scripts[i]).To(HavePrefix("# ssm-remediator "))
			g.Expect(strings.Count(scripts[i], "\n#")).To(BeZero(), "no comment travels but the first line")
			fmt.Fprintf(&sizes, "  %s %d", name, len(scripts[i]))
		}
		sizes.WriteString("\n")
	}
	const golden = "testdata/sizes.golden"
	if *update {
		g.Expect(os.WriteFile(golden, []byte(sizes.String()), 0o644)).To(Succeed())
	}
	want, err := os.ReadFile(golden)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(sizes.String()).To(Equal(string(want)), "run with -update when this is meant")
}

func TestLargestCommandsFit(t *testing.T) {
	g := NewWithT(t)
	largest := v1alpha1.ShellCommand(strings.Repeat("x", 8192))
	r := recovery(check(v1alpha1.ProcessSpec{Command: largest}), string(largest))
	evidence := v1alpha1.ShellCommand(strings.Repeat("x", 1024))
	r.Evidence = []v1alpha1.ShellCommand{evidence, evidence, evidence, evidence}
	script, err := RecoveryScript(r)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(script)).To(BeNumerically("<", 40000))
}

func TestWhatMustNotBeSent(t *testing.T) {
	tests := map[string]struct {
		change  func(r *Recovery)
		message string
	}{
		"braces in the step":  {func(r *Recovery) { r.Step.Command = "echo {{ssm:secret}}" }, "'{{'"},
		"braces in the check": {func(r *Recovery) { r.Process = v1alpha1.ProcessSpec{Command: "echo {{x}}"} }, "'{{'"},
		"braces in the name":  {func(r *Recovery) { r.Process.Name = "{{x}}" }, "'{{'"},
		"braces in the directory": {
			func(r *Recovery) { r.Step.WorkingDirectory = "/{{x}}" }, "'{{'",
		},
		"NUL":           {func(r *Recovery) { r.Step.Command = "echo \x00" }, "NUL"},
		"invalid UTF-8": {func(r *Recovery) { r.Step.Command = "echo \xff" }, "UTF-8"},
		"too large": {
			func(r *Recovery) { r.Step.Command = v1alpha1.ShellCommand(strings.Repeat("x", 60000)) }, "60000",
		},
		"too large in quotes": {
			func(r *Recovery) { r.Step.Command = v1alpha1.ShellCommand(strings.Repeat("'", 15000)) }, "put the command into a file",
		},
		"no step":    {func(r *Recovery) { r.Step.Command = "" }, "0 things to do instead of one"},
		"two steps":  {func(r *Recovery) { r.Step.Reboot = &v1alpha1.RebootStep{} }, "2 things to do instead of one"},
		"blank step": {func(r *Recovery) { r.Step.Command = " \t\n" }, "the command is empty"},
		"blank check": {
			func(r *Recovery) { r.Process = v1alpha1.ProcessSpec{Command: " "} }, "the command is empty",
		},
		"no process":    {func(r *Recovery) { r.Process = v1alpha1.ProcessSpec{} }, "named in 0 ways"},
		"two processes": {func(r *Recovery) { r.Process.PIDFile = "/run/x.pid" }, "named in 2 ways"},
		"no unit": {
			func(r *Recovery) { r.Process = v1alpha1.ProcessSpec{SystemdUnit: "a'b.service"} }, "not the name of a unit",
		},
		"option as unit": {
			func(r *Recovery) { r.Process = v1alpha1.ProcessSpec{SystemdUnit: "--help.service"} }, "not the name of a unit",
		},
		"relative pid file": {
			func(r *Recovery) { r.Process = v1alpha1.ProcessSpec{PIDFile: "run/x.pid"} }, "not an absolute path",
		},
		"relative directory": {func(r *Recovery) { r.Step.WorkingDirectory = "~" }, "not an absolute path"},
		"no binding":         {func(r *Recovery) { r.Binding = "" }, "reading binding"},
		"blank in binding":   {func(r *Recovery) { r.Binding = "a b" }, "reading binding"},
		"long binding":       {func(r *Recovery) { r.Binding = strings.Repeat("a", 101) }, "reading binding"},
		"uid with a path":    {func(r *Recovery) { r.UID = "../../etc" }, "reading the uid"},
		"no uid":             {func(r *Recovery) { r.UID = "" }, "reading the uid"},
		"no namespace":       {func(r *Recovery) { r.Namespace = "" }, "reading the policy"},
		"policy with a path": {func(r *Recovery) { r.Policy = "a/b" }, "reading the policy"},
		"no timeout":         {func(r *Recovery) { r.Timeout = 0 }, "reading the step: its times"},
		"no check timeout":   {func(r *Recovery) { r.Check.Timeout = 0 }, "timeout of the check"},
		"negative verify":    {func(r *Recovery) { r.Verify = -1 }, "reading the step: its times"},
		"no hold of a reboot": {
			func(r *Recovery) { r.Step = v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}} }, "hold says no time",
		},
		"no hold of a document": {
			func(r *Recovery) { r.Step = v1alpha1.RecoveryStep{Document: &v1alpha1.DocumentStep{}} }, "hold says no time",
		},
		"unknown keep":       {func(r *Recovery) { r.Keep = "Sometimes" }, "when to keep its output"},
		"too much evidence":  {func(r *Recovery) { r.Evidence = make([]v1alpha1.ShellCommand, 5) }, "5 commands are more than 4"},
		"blank evidence":     {func(r *Recovery) { r.Evidence = []v1alpha1.ShellCommand{"true", " "} }, "the command is empty"},
		"braces in evidence": {func(r *Recovery) { r.Evidence = []v1alpha1.ShellCommand{"{{x}}"} }, "'{{'"},
		"no notAfter":        {func(r *Recovery) { r.NotAfter = time.Time{} }, "notAfter"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r := recovery(byName("webserver"), "true")
			_, err := RecoveryScript(r)
			g.Expect(err).NotTo(HaveOccurred())
			test.change(&r)
			script, err := RecoveryScript(r)
			g.Expect(err).To(MatchError(ContainSubstring(test.message)))
			g.Expect(script).To(BeEmpty())
		})
	}
}

// hostile are strings that mean something to a shell, to printf or to echo.
var hostile = []string{
	"'", "''", `'\''`, `"`, "`touch /run/owned`", "$(touch /run/owned)", "${HOME}", "$'\\n'", `\`, `\\`, `\'`, "a\nb", "a\r\nb",
	"\t", " x ", "*", "?", "[a-z]", "~", "!!", "#no comment", "; touch /run/owned;", "& touch /run/owned", "-n", "-e", "--",
	"%s%d%n", "{a,b}", "ü€😀", "\x01\x1b[31m", "EOF", "'; touch /run/owned; '",
}

// TestQuoting sends every string through the quoting and every shell, as a command, a name and a path.
func TestQuoting(t *testing.T) {
	underEachShell(t, func(n *node) {
		for i, text := range hostile {
			n.write("/run/want", text)
			r := recovery(byName("webserver"), "printf %s "+quote(text)+" >/run/got")
			r.UID = fmt.Sprintf("%s-%d", testUID, i)
			report, _ := n.recover(r)
			n.Expect(report.ExitCode).To(HaveValue(BeEquivalentTo(0)), "%q: %s", text, report.Output)
			got, err := os.ReadFile(n.Path("/run/got"))
			n.Expect(err).NotTo(HaveOccurred())
			n.Expect(string(got)).To(Equal(text))
			if strings.ContainsAny(text, "/\n\r\t\x01") {
				continue
			}
			n.Expect(n.probe(byName(text)).Health).To(Equal(v1alpha1.HealthUnhealthy), text)
			path := "/run/pid" + text
			c := check(v1alpha1.ProcessSpec{PIDFile: v1alpha1.AbsolutePath(path)})
			n.Expect(n.probe(c).Reason).To(Equal(ReasonPIDFileMissing), text)
			n.write(path, "1")
			n.Expect(n.probe(c).Reason).To(Equal(ReasonProcessRunning), text)
		}
		n.Expect(n.exists("/run/owned")).To(BeFalse())
	})
}

// quote is for the user's own shell, one level below that of the script.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'"
}

func TestTimeouts(t *testing.T) {
	g := NewWithT(t)
	c := byName("webserver")
	c.Timeout = 1500 * time.Millisecond
	g.Expect(ProbeTimeout(c)).To(Equal(20 * time.Second))
	script, err := ProbeScript(c, testBinding)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(script).To(ContainSubstring("SR_TIMEOUT='2'\n"), "rounded up")
	r := recovery(c, "true")
	r.Timeout, r.Verify = 60*time.Second, 30*time.Second
	g.Expect(RecoveryTimeout(r)).To(Equal((2*10 + 60 + 8 + 30 + 10) * time.Second))
	script, err = RecoveryScript(r)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(script).To(ContainSubstring("SR_BOUND='128'\n"), "the lock expires when the script has ended")
	r.Evidence = []v1alpha1.ShellCommand{"true", "true"}
	g.Expect(RecoveryTimeout(r)).To(Equal((3*10 + 2*(10+8) + 60 + 8 + 30 + 10) * time.Second))

	d := document(c)
	g.Expect(RecoveryTimeout(d)).To(Equal((10 + 10) * time.Second))
	script, err = RecoveryScript(d)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(script).To(ContainSubstring("SR_BOUND='620'\n"), "the lock expires when what follows has ended")
	g.Expect(RecoveryTimeout(reboot(c))).To(Equal((10 + 10 + 10) * time.Second))
}
