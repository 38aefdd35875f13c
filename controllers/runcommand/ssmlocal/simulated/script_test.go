// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// hostile are texts that mean something to a shell.
var hostile = []string{
	"'", "''", `'\''`, `"`, "`id`", "$(id)", "${HOME}", `\`, `\\`, `\'`, "a\nb", "a\nSR_UID='x'\nb", "SR_UID='x'", "\t", " x ",
	"# ssm-remediator probe", "ü€😀", "'; id; '",
}

func TestParametersAreReadAsAShellReadsThem(t *testing.T) {
	g := NewWithT(t)
	for _, text := range hostile {
		script, _, _ := recover("echo "+text, within(time.Minute))(g, noon)
		s, err := parse(script)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(s.recovery).To(BeTrue())
		g.Expect(s.parameters["SR_STEP"]).To(Equal("echo " + text))
		g.Expect(s.parameters["SR_UID"]).To(Equal(uid))
		g.Expect(s.seconds("SR_STEP_TIMEOUT")).To(Equal(20 * time.Second))
		g.Expect(s.number("SR_NOT_AFTER")).To(Equal(noon.Add(time.Minute).Unix()))
	}
}

func TestOnlyTheHeadIsRead(t *testing.T) {
	g := NewWithT(t)
	s, err := parse("# ssm-remediator probe\nSR_A='1'\nset -u\nSR_B='2'\n")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(s).To(Equal(script{parameters: map[string]string{"SR_A": "1"}}))
}

func TestScriptsThatCannotBeRead(t *testing.T) {
	for _, text := range []string{
		"", "# ssm-remediator", "# ssm-remediator other\n", "# ssm-remediator probe\nSR_A", "# ssm-remediator probe\nSR_A='1",
		"# ssm-remediator probe\nSR_A=1\n", "# ssm-remediator probe\nSR_A='1'\\", "# ssm-remediator probe\nSR_A='1'\\\n",
	} {
		g := NewWithT(t)
		_, err := parse(text)
		g.Expect(err).To(MatchError(HavePrefix("reading the script: ")), text)
	}
}

func TestNodeRefusesAScriptThatItCannotRead(t *testing.T) {
	g := NewWithT(t)
	m := newModel(t)
	o := m.execute("# ssm-remediator other\n", "x")
	g.Expect(o.ExitCode).To(Equal(exitNotRunnable))
	g.Expect(o.Stderr).To(ContainSubstring("# ssm-remediator other"))
	g.Expect(m.ledger.Effects()).To(BeEmpty())
}

// FuzzQuoting puts any text into a script, and reads it back.
func FuzzQuoting(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse("# ssm-remediator probe\nSR_A='" + strings.ReplaceAll(text, "'", `'\''`) + "'\nSR_B='b'\n")
		if err != nil {
			t.Fatal(err)
		}
		if s.parameters["SR_A"] != text || s.parameters["SR_B"] != "b" {
			t.Fatalf("%q was read as %q", text, s.parameters)
		}
	})
}

// FuzzParse reads any text.
func FuzzParse(f *testing.F) {
	script, _, _ := probe(byFile())(NewWithT(f), noon)
	f.Add(script)
	f.Add("# ssm-remediator recovery\nSR_A='1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(text)
		if err == nil && !strings.HasPrefix(text, ours) {
			t.Fatalf("%q was taken for a script of ours: %v", text, s)
		}
	})
}
