// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

const (
	uid      = "6f1b2c3d-0000-4000-8000-000000000001"
	otherUID = "6f1b2c3d-0000-4000-8000-000000000002"
)

// event is something that happens to a node, the same on a machine and in the model; or something that is sent to it, and
// what its answer begins with.
type event struct {
	machine string
	model   func(m *model)

	sent sent
	want string
}

// sent is a script of ours for a node whose clock shows a time, its comment, and the reader of what it prints.
type sent func(g *WithT, now time.Time) (script, comment string, read func(output string) string)

func (s sent) answers(want string) event {
	return event{sent: s, want: want}
}

// TestConformance has the scripts on a machine and the model say the same.
func TestConformance(t *testing.T) {
	for name, events := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, r := newModel(t), newReal(t)
			for _, e := range events {
				if e.sent == nil {
					r.sh(e.machine)
					e.model(m)
					continue
				}
				script, comment, _ := e.sent(r.WithT, m.now)
				simulated := m.execute(script, comment)
				script, _, read := e.sent(r.WithT, time.Now())
				stdout, exit := r.run(script)
				r.Expect(read(stdout)).To(HavePrefix(e.want), stdout)
				r.Expect(read(simulated.Stdout)).To(Equal(read(stdout)), simulated.Stdout)
				r.Expect(simulated.ExitCode).To(Equal(exit))
				r.Expect(r.Command("test", "!", "-e", "/run/acted").Run()).To(Succeed(), "this must not be carried out")
			}
		})
	}
}

func check(p v1alpha1.ProcessSpec) process.Check {
	return process.Check{Process: p, Timeout: 5 * time.Second, Namespace: "web", Policy: "httpd"}
}

// byFile is a process that runs while a file is there.
func byFile() process.Check {
	return check(v1alpha1.ProcessSpec{Command: "[ -e /run/up ]"})
}

// probe is a probe, read as "Health/Reason".
func probe(c process.Check) sent {
	return func(g *WithT, _ time.Time) (string, string, func(string) string) {
		const binding = "probe/1"
		script, err := process.ProbeScript(c, binding)
		g.Expect(err).NotTo(HaveOccurred())
		return script, binding, verdictReader(g, binding)
	}
}

// verify is a verify script of a recovery, read as a probe.
func verify(uid string, release process.Release) sent {
	return func(g *WithT, _ time.Time) (string, string, func(string) string) {
		binding := uid + "/Verify"
		script, err := process.VerifyScript(byFile(), uid, binding, release)
		g.Expect(err).NotTo(HaveOccurred())
		return script, binding, verdictReader(g, binding)
	}
}

// watchOf is a watch of a time, read as a probe, and what else its verdict says.
func watchOf(c process.Check, duration time.Duration, threshold int32) sent {
	return func(g *WithT, _ time.Time) (string, string, func(string) string) {
		const binding = "probe/2"
		script, err := process.WatchScript(c, process.Watch{Duration: duration, Threshold: threshold}, binding)
		g.Expect(err).NotTo(HaveOccurred())
		return script, binding, func(output string) string {
			v, err := process.ReadVerdict(output, binding)
			g.Expect(err).NotTo(HaveOccurred(), output)
			return fmt.Sprintf("%s/%s failures=%d busy=%v", v.Health, v.Reason, v.Failures, v.Busy)
		}
	}
}

func verdictReader(g *WithT, binding string) func(output string) string {
	return func(output string) string {
		v, err := process.ReadVerdict(output, binding)
		g.Expect(err).NotTo(HaveOccurred(), output)
		return string(v.Health) + "/" + v.Reason
	}
}

// recover is a recovery by a command, after changes, read as "Result/Reason" and what else the report says that does not
// depend on times and words.
func recover(command string, changes ...func(r *process.Recovery)) sent {
	return func(g *WithT, now time.Time) (string, string, func(string) string) {
		r := process.Recovery{
			Check: byFile(), UID: uid, Step: v1alpha1.RecoveryStep{Command: v1alpha1.ShellCommand(command)},
			Timeout: 20 * time.Second, NotAfter: now.Add(time.Hour),
		}
		for _, change := range changes {
			change(&r)
		}
		r.Binding = r.UID + "/Run"
		script, err := process.RecoveryScript(r)
		g.Expect(err).NotTo(HaveOccurred())
		return script, r.Binding, func(output string) string {
			report, err := process.ReadReport(output, r.Binding)
			g.Expect(err).NotTo(HaveOccurred(), output)
			return summary(report)
		}
	}
}

// summary is a report without times and words.
func summary(r process.Report) string {
	words := []string{string(r.Result) + "/" + r.Reason}
	if r.Acted {
		words = append(words, "acted")
	}
	if r.ExitCode != nil {
		words = append(words, "exit="+strconv.Itoa(int(*r.ExitCode)))
	}
	for _, v := range []*process.Verdict{r.Before, r.After} {
		if v != nil {
			words = append(words, string(v.Health)+"/"+v.Reason)
		}
	}
	for _, p := range r.Phases {
		words = append(words, string(p.Name))
	}
	for _, e := range r.Evidence {
		exit := "-"
		if e.ExitCode != nil {
			exit = strconv.Itoa(int(*e.ExitCode))
		}
		words = append(words, "evidence "+exit+": "+e.Output)
	}
	if r.Output != "" {
		words = append(words, "output: "+r.Output)
	}
	return strings.Join(words, " ")
}

func by(other string) func(r *process.Recovery) {
	return func(r *process.Recovery) { r.UID = other }
}

func of(c process.Check) func(r *process.Recovery) {
	return func(r *process.Recovery) { r.Check = c }
}

func reboot(r *process.Recovery) {
	r.Step, r.Hold = v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}}, time.Minute
}

func document(r *process.Recovery) {
	r.Step, r.Hold = v1alpha1.RecoveryStep{Document: &v1alpha1.DocumentStep{Name: "Restart"}}, time.Minute
}

func keep(k v1alpha1.KeepOutput) func(r *process.Recovery) {
	return func(r *process.Recovery) { r.Keep = k }
}

func evidence(commands ...v1alpha1.ShellCommand) func(r *process.Recovery) {
	return func(r *process.Recovery) { r.Evidence = commands }
}

// within is how long from now the recovery may begin.
func within(d time.Duration) func(r *process.Recovery) {
	return func(r *process.Recovery) { r.NotAfter = r.NotAfter.Add(d - time.Hour) }
}

func times(timeout, verify time.Duration) func(r *process.Recovery) {
	return func(r *process.Recovery) { r.Timeout, r.Verify = timeout, verify }
}
