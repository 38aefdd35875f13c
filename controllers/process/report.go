// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// PhaseName is what a recovery has come to.
type PhaseName string

// The phases, in their order.
const (
	// PhaseStarted means that the script began.
	PhaseStarted PhaseName = "started"
	// PhaseEvidence means that the process was found down, and the commands of the evidence have ended, or were ended.
	PhaseEvidence PhaseName = "evidence"
	// PhaseProbed means that it holds the node's lock and has looked at the process again.
	PhaseProbed PhaseName = kindProbed
	// PhaseActing means that the marker is made and the step is about to run, or the reboot to be ordered. From here on it
	// may have been.
	PhaseActing PhaseName = "acting"
	// PhaseActed means that the step has ended, or was ended.
	PhaseActed PhaseName = "acted"
	// PhaseVerified means that the last look was taken.
	PhaseVerified PhaseName = "verified"
	// PhaseDone is the last line, with the result.
	PhaseDone PhaseName = "done"
)

var phaseOrder = []PhaseName{PhaseStarted, PhaseEvidence, PhaseProbed, PhaseActing, PhaseActed, PhaseVerified, PhaseDone}

// Phase is a line of the report.
type Phase struct {
	Name PhaseName
	// Time is when it was printed, in the node's clock, to the second; zero when the node cannot tell.
	Time time.Time
}

// Report is what the script of a recovery printed.
type Report struct {
	Phases []Phase
	// Before is the look right before acting, After the last one; nil when it did not come to them.
	Before, After *Verdict
	// Evidence is what its commands printed, in their order, without blank lines: at most 1 KiB each, without control
	// characters but line breaks and tabs. ExitCode is nil when the command was ended at its time. There may be less than
	// was asked for, when time ran short; none when the script was ended before its last line.
	Evidence []v1alpha1.Evidence
	// Acted means that the step was about to run, and so may have run. That of a document never is.
	Acted bool
	// ExitCode is that of the step, 128 and more when a signal ended it; nil when it did not run or was ended at its
	// timeout.
	ExitCode *int32
	// Result is Recovered, Ineffective, Failed, TimedOut, NotNeeded or Withheld; ResultRebooting or ResultCleared when
	// other commands have to follow; and empty when the script was ended before its last line.
	Result v1alpha1.Result
	// Reason is why a recovery was withheld, and otherwise the reason of the last verdict. One of the constants of this
	// package.
	Reason string
	// Message is the result in words, without control characters, at most 512 bytes.
	Message string
	// Output is the beginning of what the step printed, if it was to be kept: at most 2 KiB, without control characters
	// but line breaks and tabs.
	Output string
}

// ReadReport reads the report of a recovery from the output of a command whose Comment was binding. The report of a script
// that was ended early has what it got to. The error is ErrNoVerdict when no line is bound to the command; it is another
// one when the lines contradict each other, and then nobody knows what happened.
func ReadReport(output, binding string) (Report, error) {
	if err := checkBinding(binding); err != nil {
		return Report{}, err
	}
	var r Report
	var printed printed
	for text := range strings.Lines(output) {
		text = strings.TrimSuffix(text, "\n")
		l, ok, err := boundLine(text, binding)
		if err != nil {
			return Report{}, err
		}
		if ok {
			if err := r.add(l); err != nil {
				return Report{}, err
			}
			continue
		}
		if r.reached(PhaseDone) {
			printed.add(text)
		}
	}
	if len(r.Phases) == 0 {
		return Report{}, ErrNoVerdict
	}
	if err := r.consistent(); err != nil {
		return Report{}, err
	}
	printed.fillIn(&r)
	return r, nil
}

func (r *Report) reached(name PhaseName) bool {
	return slices.ContainsFunc(r.Phases, func(p Phase) bool { return p.Name == name })
}

// add takes up the next line.
func (r *Report) add(l line) error {
	name := PhaseName(l.kind)
	place := slices.Index(phaseOrder, name)
	if place < 0 {
		return fmt.Errorf("reading the report: there is no phase %q", Printable(l.kind, 20, ""))
	}
	if n := len(r.Phases); n > 0 && slices.Index(phaseOrder, r.Phases[n-1].Name) >= place {
		return fmt.Errorf("reading the report: %s comes after %s", name, r.Phases[n-1].Name)
	}
	if !l.whole {
		return r.addCutOff(name)
	}
	at, err := l.time()
	if err != nil {
		return err
	}
	r.Phases = append(r.Phases, Phase{Name: name, Time: at})
	return r.addFacts(name, l)
}

// addCutOff takes up a line that lacks its end, because the script was ended or the output was cut. Nothing in it can be
// trusted but that it came to this phase, which matters for one of them.
func (r *Report) addCutOff(name PhaseName) error {
	if name == PhaseActing {
		r.Phases = append(r.Phases, Phase{Name: name})
		r.Acted = true
	}
	return nil
}

func (r *Report) addFacts(name PhaseName, l line) (err error) {
	switch name {
	case PhaseStarted:
	case PhaseActing:
		r.Acted = true
	case PhaseEvidence:
		r.Evidence, err = l.evidence()
	case PhaseProbed:
		r.Before, err = l.verdict()
	case PhaseVerified:
		r.After, err = l.verdict()
	case PhaseActed:
		r.ExitCode, err = l.exitCode("exit")
	case PhaseDone:
		r.Result, r.Reason, r.Message = v1alpha1.Result(l.values["result"]), l.values["reason"], l.message
	}
	return err
}

func (l line) exitCode(key string) (*int32, error) {
	code, known, err := l.number(key)
	if err != nil || !known {
		return nil, err
	}
	if code > 255 {
		return nil, fmt.Errorf("reading the %s line: %s is %s", l.kind, key, strconv.FormatInt(code, 10))
	}
	exit := int32(code)
	return &exit, nil
}
