// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

func TestEndOfDocument(t *testing.T) {
	tests := map[string]struct {
		invocation runcommand.Invocation
		keep       v1alpha1.KeepOutput
		want       ending
	}{
		"well": {
			ended(runcommand.StatusSuccess, 0, "done\n"), v1alpha1.KeepOnFailure,
			ending{status: runcommand.StatusSuccess, exitCode: new(int32(0)), output: "done\n"},
		},
		"with an exit code": {
			ended(runcommand.StatusFailed, 3, "no\x1b[m"), v1alpha1.KeepAlways,
			ending{status: runcommand.StatusFailed, exitCode: new(int32(3)), output: "no[m"},
		},
		"by a signal": {
			ended(runcommand.StatusFailed, -1, ""), v1alpha1.KeepAlways, ending{status: runcommand.StatusFailed},
		},
		"at its time-out": {
			ended(runcommand.StatusExecutionTimedOut, 137, ""), v1alpha1.KeepAlways, ending{status: runcommand.StatusExecutionTimedOut},
		},
		"cancelled": {
			ended(runcommand.StatusCancelled, 137, ""), v1alpha1.KeepAlways, ending{status: runcommand.StatusCancelled},
		},
		"in a way that proves nothing": {
			ended(runcommand.StatusUndeliverable, -1, ""), v1alpha1.KeepAlways, ending{status: runcommand.StatusUndeliverable},
		},
		"whose output is not to be kept": {
			ended(runcommand.StatusFailed, 1, "secret"), v1alpha1.KeepNever,
			ending{status: runcommand.StatusFailed, exitCode: new(int32(1))},
		},
		"with a lot of output": {
			ended(runcommand.StatusFailed, 1, strings.Repeat("é", 2000)), v1alpha1.KeepOnFailure,
			ending{status: runcommand.StatusFailed, exitCode: new(int32(1)), output: strings.Repeat("é", 1024)},
		},
		"before it began": {
			ended(runcommand.StatusDeliveryTimedOut, -1, ""), v1alpha1.KeepAlways,
			ending{status: runcommand.StatusDeliveryTimedOut, outcome: undelivered()},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(endOfDocument(test.invocation, test.keep)).To(Equal(test.want))
		})
	}
}

func TestUnended(t *testing.T) {
	inProgress := runcommand.Observation{Command: runcommand.Command{ID: "c", Status: runcommand.StatusInProgress, Targets: 1}}
	pending := runcommand.StatusPending
	tests := map[string]struct {
		step       v1alpha1.RecoveryStep
		command    v1alpha1.CommandStatus
		seen       runcommand.Observation
		wantStatus runcommand.Status
		want       v1alpha1.Result
	}{
		"a command":  {commandStep, sent(runPurpose, pending), inProgress, runcommand.StatusInProgress, v1alpha1.ResultLost},
		"a check":    {documentStep, sent(checkPurpose, pending), inProgress, runcommand.StatusInProgress, v1alpha1.ResultWithdrawn},
		"a reboot":   {rebootStep, sent(runPurpose, pending), inProgress, runcommand.StatusInProgress, ""},
		"a document": {documentStep, sent(runPurpose, pending), inProgress, runcommand.StatusInProgress, ""},
		"a document of which nothing was read": {
			documentStep, sent(runPurpose, pending), runcommand.Observation{Err: errors.New("no answer")}, pending, "",
		},
		"a document that was cancelled": {
			documentStep, sent(runPurpose, runcommand.StatusCancelling), inProgress, runcommand.StatusCancelling, "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := unended(attempt(test.step, test.command), test.command.Purpose, test.seen)
			g.Expect(got.status).To(Equal(test.wantStatus))
			if test.want == "" {
				g.Expect(got.outcome).To(BeNil())
				return
			}
			g.Expect(got.outcome).NotTo(BeNil())
			g.Expect(got.outcome.result).To(Equal(test.want))
		})
	}
}

func TestLate(t *testing.T) {
	running := runcommand.Observation{Command: runcommand.Command{ID: "c", Status: runcommand.StatusInProgress, Targets: 1}}
	over, failing := running, running
	over.Command.Status = runcommand.StatusCancelled
	failing.Err = errors.New("no answer")
	// The send at noon, 30 s to be delivered, 60 s to run.
	end := noon.Add(90 * time.Second)
	tests := map[string]struct {
		step    v1alpha1.RecoveryStep
		purpose v1alpha1.CommandPurpose
		seen    runcommand.Observation
		now     time.Time
		want    bool
	}{
		"a document before its end":               {documentStep, runPurpose, running, end.Add(-time.Second), false},
		"a document at its end":                   {documentStep, runPurpose, running, end, true},
		"a document that is about to be read":     {documentStep, runPurpose, over, end, false},
		"a document that cannot be read":          {documentStep, runPurpose, failing, end, false},
		"a document that was not read yet":        {documentStep, runPurpose, runcommand.Observation{}, end, false},
		"the check before it":                     {documentStep, checkPurpose, running, end, false},
		"a reboot, which ends by its own horizon": {rebootStep, runPurpose, running, end, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			command := sent(test.purpose, runcommand.StatusInProgress)
			since, got := late(&attempt(test.step).Spec, &command, test.seen, test.now)
			g.Expect(got).To(Equal(test.want))
			if got {
				g.Expect(since).To(BeZero())
			}
		})
	}
}

func TestRemedy(t *testing.T) {
	refused := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	document := attempt(documentStep)
	document.Spec.StepIndex = 2
	g := NewWithT(t)
	g.Expect(remedy(document, runPurpose, refused("InvalidDocument"))).To(ContainSubstring("correct recovery.steps[2].document"))
	g.Expect(remedy(document, runPurpose, refused("InvalidParameters"))).To(ContainSubstring("correct recovery.steps[2].document"))
	g.Expect(remedy(document, runPurpose, refused("AccessDeniedException"))).To(ContainSubstring("to send the document restart-web"))
	g.Expect(remedy(document, runPurpose, refused("InvalidInstanceId"))).To(BeEmpty())
	g.Expect(remedy(document, checkPurpose, refused("AccessDeniedException"))).To(BeEmpty())
	g.Expect(remedy(attempt(commandStep), runPurpose, refused("AccessDeniedException"))).To(BeEmpty())
}

func TestUnfound(t *testing.T) {
	g := NewWithT(t)
	g.Expect(unfound(checkPurpose, nil).result).To(Equal(v1alpha1.ResultWithdrawn), "a check touches nothing")
	lost := unfound(runPurpose, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"})
	g.Expect(lost.result).To(Equal(v1alpha1.ResultLost))
	g.Expect(lost.message).To(ContainSubstring("the last answer was: ThrottlingException: Rate exceeded"))
}

func TestEndTime(t *testing.T) {
	g := NewWithT(t)
	run := sent(runPurpose, runcommand.StatusInProgress)
	run.SendTime = new(metav1.NewMicroTime(noon.Add(time.Minute)))
	g.Expect(endTime(&attempt(documentStep).Spec, &run)).To(Equal(noon.Add(time.Minute+30*time.Second+time.Minute)), "from the send")
	run.SendTime = nil
	g.Expect(endTime(&attempt(documentStep).Spec, &run)).To(Equal(noon.Add(30*time.Second+time.Minute)), "of a record that lacks it")
}
