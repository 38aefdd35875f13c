// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// outcome is what came of an attempt.
type outcome struct {
	result  v1alpha1.Result
	message string
}

// ending is what is known of a command that has ended, or was given up.
type ending struct {
	// status is the last that AWS reported.
	status runcommand.Status
	// exitCode and output are those of the step, evidence and bootID what the node told before it was touched.
	exitCode *int32
	output   string
	evidence []v1alpha1.Evidence
	bootID   string
	// nodeTime is when a check before a document has looked, in the node's clock; zero when the node cannot tell.
	nodeTime time.Time
	// outcome is what came of the attempt; nil when the next command is due.
	outcome *outcome
}

// endOf reads the end of the command that acts, or that looks before it.
func endOf(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose, i runcommand.Invocation) ending {
	spec, bound := &remediation.Spec, binding(remediation, purpose)
	switch {
	case purpose == v1alpha1.CommandPurposeCheck:
		return endOfCheck(i, bound)
	case spec.Step.Document != nil:
		return endOfDocument(i, spec.Output.Keep)
	case spec.Step.Reboot != nil:
		return endOfReboot(i, bound)
	default:
		return endOfCommand(i, bound)
	}
}

// unended is the end of a command of which AWS has reported none in all the time that it had.
func unended(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose, o runcommand.Observation) ending {
	e := ending{status: runcommand.Status(commandOf(remediation, purpose).Status)}
	if o.Command.Status != "" && e.status != runcommand.StatusCancelling {
		e.status = o.Command.Status
	}
	switch {
	case purpose == v1alpha1.CommandPurposeCheck:
		e.outcome = uncleared("the node did not answer the check before it", o.Err)
	case len(sequence(remediation.Spec.Step)) == 1:
		e.outcome = lost("AWS reported no end of the command in all the time in which it could have run", o.Err)
	}
	return e
}

// unfound is the outcome of a send whose answer was lost, when no such command was found in all that time.
func unfound(purpose v1alpha1.CommandPurpose, err error) *outcome {
	if purpose == v1alpha1.CommandPurposeCheck {
		return uncleared("AWS did not answer the send of the check before it, and the check was not found", err)
	}
	return lost("the answer to the send was lost, and the command was not found in all the time in which it could have run", err)
}

// lost is the outcome of a command of which nobody can know whether it ran.
func lost(why string, err error) *outcome {
	return &outcome{v1alpha1.ResultLost, why + lastAnswer(err)}
}

func lastAnswer(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("; the last answer was: %s", runcommand.Words(err))
}

// recordEnd takes up what is known of a command that has ended. Without an outcome it is recorded here, and with one by
// conclude.
func (r *Reconciler) recordEnd(ctx context.Context, s *scope, purpose v1alpha1.CommandPurpose, e ending) error {
	status, command := &s.remediation.Status, commandOf(s.remediation, purpose)
	command.Status = statusWord(e.status)
	command.CompletionTime = new(metav1.NewMicroTime(s.now))
	command.BootID = e.bootID
	if purpose == v1alpha1.CommandPurposeCheck {
		command.ProbeTime = new(metav1.NewMicroTime(probeTime(s.remediation, command, e.nodeTime, s.now)))
	}
	if e.evidence != nil {
		status.Evidence = e.evidence
	}
	status.ExitCode, status.Output = e.exitCode, e.output
	s.outcome = e.outcome
	if s.outcome != nil {
		return nil
	}
	s.running(doing(s.remediation.Spec.Step, next(s.remediation)))
	return r.record(ctx, s)
}
