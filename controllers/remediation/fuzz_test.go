// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

var statuses = []runcommand.Status{
	runcommand.StatusSuccess, runcommand.StatusFailed, runcommand.StatusExecutionTimedOut, runcommand.StatusDeliveryTimedOut,
	runcommand.StatusCancelled, runcommand.StatusUndeliverable, runcommand.StatusTerminated, runcommand.StatusInvalidPlatform,
	runcommand.StatusAccessDenied, runcommand.StatusIncomplete, runcommand.StatusNoInstancesInTag, runcommand.StatusRateExceeded,
	runcommand.StatusPending, runcommand.StatusInProgress, runcommand.StatusDelayed, runcommand.StatusCancelling, "", "SomethingNew",
}

// has reports whether an output has a line of a kind that is bound to the command, with a value.
func has(output, kind, value string) bool {
	for line := range strings.Lines(output) {
		rest, bound := strings.CutPrefix(line, "ssm-remediator/v1 "+testBinding+" "+kind)
		if bound && strings.Contains(rest, value) {
			return true
		}
	}
	return false
}

// addReports gives the fuzzer reports of every kind to begin with, whole and damaged, with any status.
func addReports(f *testing.F) {
	reports := []string{
		whole, report(started), report(started, down), report(started, down, acting), report(started, down, acting, acted),
		report(started, evidence, down, acting, acted, after), report(started, doneTooLate), report(started, doneBefore),
		report(started, healthy, doneNotNeeded), report(started, down, doneCleared), report(started, down, acting, doneRebooting),
		report(started, doneRecovered), report(doneRecovered), report(started, down, acting, doneTooLate), report(started, healthy, acting, acted, after, doneRecovered),
		strings.ReplaceAll(whole, "health=Healthy", "health=Unhealthy"), strings.ReplaceAll(whole, "0b5b", "0b5c"),
		strings.ReplaceAll(whole, "verified", "probed"), strings.ReplaceAll(whole, "exit=0", "exit=-"), "hello", "",
	}
	for _, output := range reports {
		for kind := range byte(4) {
			for status := range 6 {
				f.Add(output+"| restarted\n1| inactive\n", status, status%2, kind)
			}
			f.Add(strings.TrimSuffix(output, "\n"), 1, -1, kind)
			f.Add(strings.ReplaceAll(output, "\n", "\r\n")+output, 2, 137, kind)
			f.Add(output+strings.Repeat("| é\x1b\n1| é\n", 1500), 0, 0, kind)
		}
	}
}

// FuzzEndings reads the end of every kind of command from any output. What is concluded needs a line of the node for it that
// is bound to the command, whatever AWS says.
func FuzzEndings(f *testing.F) {
	addReports(f)
	kinds := []struct {
		step    v1alpha1.RecoveryStep
		purpose v1alpha1.CommandPurpose
	}{{commandStep, runPurpose}, {rebootStep, runPurpose}, {documentStep, checkPurpose}, {documentStep, runPurpose}}
	f.Fuzz(func(t *testing.T, output string, status, code int, kind byte) {
		g, of := NewWithT(t), kinds[int(kind)%len(kinds)]
		i := ended(statuses[uint(status)%uint(len(statuses))], code, output)
		remediation := attempt(of.step)
		if of.purpose == checkPurpose {
			// The one binding of the reports is for all of them.
			i.Output = strings.ReplaceAll(output, testBinding, binding(remediation, checkPurpose))
		}
		e := endOf(remediation, of.purpose, i)
		e.bounded(g)
		switch {
		case of.purpose == checkPurpose:
			mayClear(g, output, e)
		case of.step.Document != nil:
			g.Expect(e.outcome != nil).To(Equal(i.Status == runcommand.StatusDeliveryTimedOut), "only a look at the node tells")
		case e.outcome == nil:
			g.Expect(of.step.Reboot).NotTo(BeNil())
		default:
			mayConclude(g, output, e.outcome.result)
		}
	})
}

// bounded asserts that what is recorded fits into the status.
func (e ending) bounded(g *WithT) {
	g.Expect(len(e.output)).To(BeNumerically("<=", 2048))
	g.Expect(utf8.ValidString(e.output)).To(BeTrue())
	g.Expect(e.output).NotTo(MatchRegexp(`[\x00-\x08\x0b-\x1f\x7f]`))
	g.Expect(len(e.evidence)).To(BeNumerically("<=", 4))
	for _, evidence := range e.evidence {
		g.Expect(len(evidence.Output)).To(BeNumerically("<=", 1024))
	}
	g.Expect(len(e.bootID)).To(BeNumerically("<=", 36))
	if e.outcome != nil {
		g.Expect(e.outcome.message).NotTo(BeEmpty())
	}
}

// mayClear asserts that a document is sent only after the node has said that its process is down.
func mayClear(g *WithT, output string, e ending) {
	if e.outcome == nil {
		g.Expect(has(output, "done ", "result=Cleared")).To(BeTrue())
		g.Expect(has(output, "probed ", "health=Unhealthy")).To(BeTrue())
		return
	}
	g.Expect(e.outcome.result).To(BeElementOf(v1alpha1.ResultNotNeeded, v1alpha1.ResultWithheld, v1alpha1.ResultWithdrawn,
		v1alpha1.ResultNotDelivered, v1alpha1.ResultLost))
}

// mayConclude asserts that a result follows from lines of the node.
func mayConclude(g *WithT, output string, result v1alpha1.Result) {
	acted := has(output, "acting ", "")
	switch result {
	case v1alpha1.ResultRecovered:
		g.Expect(acted).To(BeTrue())
		g.Expect(has(output, "probed ", "health=Unhealthy")).To(BeTrue())
		g.Expect(has(output, "verified ", "health=Healthy")).To(BeTrue())
	case v1alpha1.ResultIneffective:
		g.Expect(acted).To(BeTrue())
		g.Expect(has(output, "verified ", "")).To(BeTrue())
	case v1alpha1.ResultFailed, v1alpha1.ResultTimedOut:
		g.Expect(acted).To(BeTrue())
	case v1alpha1.ResultNotNeeded:
		g.Expect(acted).To(BeFalse())
		g.Expect(has(output, "probed ", "health=Healthy")).To(BeTrue())
	case v1alpha1.ResultWithheld:
		g.Expect(acted).To(BeFalse())
		g.Expect(has(output, "", "")).To(BeTrue())
	case v1alpha1.ResultNotDelivered:
		g.Expect(acted).To(BeFalse())
	default:
		g.Expect(result).To(Equal(v1alpha1.ResultLost))
	}
}

var hexBoot = regexp.MustCompile(`^[0-9a-f-]{0,36}$`)

// FuzzVerified concludes from a last look that found anything, at any time. A reboot has helped only in another boot, and there
// is an end to all looks.
func FuzzVerified(f *testing.F) {
	for n := range 6 * 6 * 6 * 4 {
		boots := []string{oldBoot, newBoot, "", oldBoot}
		times := []int{10, 30, 100, 600, 700, 1 << 40}
		f.Add(byte(n), byte(n/3), boots[n%3], boots[n/5%4], times[n%6], times[n/6%6], []int{99999, 50, 0, 9, 601, 99}[n/36%6], byte(n/216*2+n%7/6))
	}
	f.Fuzz(func(t *testing.T, kind, status byte, before, boot string, begun, now, uptime int, found byte) {
		if !hexBoot.MatchString(before) || !hexBoot.MatchString(boot) || uptime < 0 {
			return // The readers of the verdicts let no other ones through.
		}
		g, step := NewWithT(t), []v1alpha1.RecoveryStep{documentStep, rebootStep}[kind%2]
		run := over(runPurpose, statuses[int(status)%len(statuses)])
		run.BootID = before
		remediation := attempt(step, run)
		at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds%100000) * time.Second) }
		last := lookOf(found, boot, time.Duration(uptime%1000000)*time.Second, at(begun))
		due := lookDue(remediation, last)
		g.Expect(due).To(BeTemporally("<=", latest(last.begun, verifyEnd(remediation)).Add(lookInterval)), "looks go on")
		helped := last.healthy() && (step.Reboot == nil || came(before, last))
		o, end := verified(remediation, last, at(now)), verifyEnd(remediation)
		switch {
		case !last.over:
			g.Expect(o).To(BeNil())
		case helped:
			g.Expect(o.result).To(Equal(v1alpha1.ResultRecovered))
		case o == nil:
			g.Expect(last.begun.Before(end) || at(now).Before(end.Add(lookTime(remediation)))).To(BeTrue(), "there is an end")
		default:
			g.Expect(o.message).NotTo(BeEmpty())
			g.Expect(o.result).To(BeElementOf(v1alpha1.ResultIneffective, v1alpha1.ResultFailed, v1alpha1.ResultTimedOut, v1alpha1.ResultLost))
			g.Expect(last.begun).To(BeTemporally(">=", end), "not before its time is up")
		}
	})
}

// lookOf is a look that is over or not, with a verdict or without.
func lookOf(found byte, boot string, uptime time.Duration, begun time.Time) *look {
	last := &look{begun: begun, over: found&1 == 0, silence: "the node did not answer"}
	if found&6 != 0 {
		health := []v1alpha1.Health{"", v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthHeld}[found&6/2]
		last.verdict = &process.Verdict{Health: health, BootID: boot, Uptime: uptime, Message: "as found"}
	}
	return last
}

// came tells whether a look saw the node after a boot since noon.
func came(before string, last *look) bool {
	if before == "" || last.verdict.BootID == "" {
		return last.verdict.Uptime > 0 && noon.Add(last.verdict.Uptime).Before(last.begun)
	}
	return before != last.verdict.BootID
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// FuzzRecorded takes up attempts whose record says anything that the schema admits. Each knows what is next, and gives up.
func FuzzRecorded(f *testing.F) {
	f.Add([]byte{}, int64(0), int64(0))
	f.Add([]byte("\x01\x0f\x00\x0f\x01\x0f"), int64(-3600), int64(3600))
	f.Add([]byte("\x02\x0b\x00"), int64(1<<40), int64(-1<<40))
	f.Add([]byte("\x01\x03\x09\x02\x02\x0f\x01\x07"), int64(86400*365), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, intent, offset int64) {
		g := NewWithT(t)
		if len(data) == 0 {
			data = []byte{0}
		}
		step := []v1alpha1.RecoveryStep{commandStep, documentStep, rebootStep}[data[0]%3]
		remediation := attempt(step)
		remediation.Spec.Detection.ClockOffsetSeconds = offset
		for n, purpose := range []v1alpha1.CommandPurpose{checkPurpose, runPurpose, verifyPurpose} {
			if n+1 >= len(data) || data[n+1]&1 == 0 {
				continue
			}
			command := v1alpha1.CommandStatus{Purpose: purpose, IntentTime: metav1.NewMicroTime(noon.Add(time.Duration(intent) * time.Second))}
			if data[n+1]&2 != 0 {
				command.CommandID = "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10"
			}
			if data[n+1]&4 != 0 {
				command.SendTime = new(metav1.NewMicroTime(noon))
			}
			if data[n+1]&8 != 0 {
				command.CompletionTime = new(metav1.NewMicroTime(noon))
			}
			command.Status = string(statuses[int(data[n+1]>>4)%len(statuses)])
			remediation.Status.Commands = append(remediation.Status.Commands, command)
		}
		purpose := next(remediation)
		g.Expect(sequence(step)).To(ContainElement(purpose))
		g.Expect(doing(step, purpose)).NotTo(BeEmpty())
		command := commandOf(remediation, purpose)
		if command == nil {
			return
		}
		proof, end := searchEnd(remediation, purpose)
		g.Expect(proof).To(BeTemporally("<=", end))
		g.Expect(end).To(BeTemporally("<=", noon.Add(24*time.Hour)), "a search is given up")
		if command.CommandID != "" {
			given := latest(noon, command.IntentTime.Time).Add(24 * time.Hour)
			g.Expect(deadline(remediation, command)).To(BeTemporally("<=", given), "a command is given up")
		}
		running := runcommand.Observation{Command: runcommand.Command{ID: command.CommandID, Status: runcommand.StatusInProgress, Targets: 1}}
		if _, is := late(&remediation.Spec, command, running, noon.Add(24*time.Hour)); is {
			g.Expect(step.Document).NotTo(BeNil())
		}
	})
}
