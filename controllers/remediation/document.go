// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// cancelTime is how long a document that was cancelled may take to end.
	cancelTime = 30 * time.Second
	// maxOutput bounds status.output, in bytes.
	maxOutput = 2048
)

// documentRequest is the send of a document. It has the shortest time to be delivered that AWS knows: the node has just
// answered the check, and what it has not taken by then it must not run much later.
func documentRequest(document *v1alpha1.DocumentStep) runcommand.Send {
	command := runcommand.Send{
		Document: document.Name, DocumentVersion: document.Version, DeliveryTimeout: runcommand.MinDeliveryTimeout,
	}
	if len(document.Parameters) > 0 {
		command.Parameters = map[string][]string{}
	}
	for _, parameter := range document.Parameters {
		command.Parameters[parameter.Name] = parameter.Values
	}
	return command
}

// remedy says what to do about a document that AWS refuses, in addition to AWS's own words.
func remedy(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose, err error) string {
	step := &remediation.Spec.Step
	if purpose != v1alpha1.CommandPurposeRun || step.Document == nil {
		return ""
	}
	switch runcommand.Classify(err) {
	case runcommand.Denied:
		return fmt.Sprintf("; allow the controller's role to send the document %s (config/iam)", step.Document.Name)
	case runcommand.Invalid:
		return fmt.Sprintf("; correct recovery.steps[%d].document or the document", remediation.Spec.StepIndex)
	default:
		return ""
	}
}

// endOfDocument reads the end of a document. Whatever came of it, the process may be healthy now, and only a look at the node
// tells: it ends the attempt by itself only when it is known that nothing was run.
func endOfDocument(i runcommand.Invocation, keep v1alpha1.KeepOutput) ending {
	e := ending{status: i.Status}
	if i.Status == runcommand.StatusDeliveryTimedOut {
		e.outcome = undelivered()
		return e
	}
	// A negative code stands for no exit code.
	if (i.Status == runcommand.StatusSuccess || i.Status == runcommand.StatusFailed) && i.ResponseCode >= 0 {
		e.exitCode = new(int32(i.ResponseCode))
	}
	if keep != v1alpha1.KeepNever {
		e.output = process.Printable(i.Output, maxOutput, "\n\t")
	}
	return e
}

// endTime is when the time of a document is up. It runs out from the end of its delivery, which is not known to the second:
// so a document may run up to the delivery's time longer, and never shorter.
func endTime(spec *v1alpha1.RemediationSpec, run *v1alpha1.CommandStatus) time.Time {
	return ptr.Deref(run.SendTime, run.IntentTime).Add(documentTime(spec))
}

// late tells how long ago the time of a document was up. It is not when the command is no document, or is not known to be in
// flight still.
func late(spec *v1alpha1.RemediationSpec, command *v1alpha1.CommandStatus, o runcommand.Observation, now time.Time) (time.Duration, bool) {
	if spec.Step.Document == nil || command.Purpose != v1alpha1.CommandPurposeRun ||
		o.Err != nil || o.Command.ID == "" || o.Command.Done() {
		return 0, false
	}
	since := now.Sub(endTime(spec, command))
	return since, since >= 0
}

// cancel ends a document whose time is up, once.
func (r *Reconciler) cancel(ctx context.Context, s *scope) error {
	spec, run := &s.remediation.Spec, commandOf(s.remediation, v1alpha1.CommandPurposeRun)
	if run.Status == string(runcommand.StatusCancelling) {
		return nil
	}
	log.FromContext(ctx).Info("Cancelling the document, whose time is up", "instance", spec.InstanceID, "document", spec.Step.Document.Name)
	if err := s.region.Cancel(ctx, run.CommandID, string(spec.InstanceID)); err != nil {
		log.FromContext(ctx).Info("AWS did not cancel the document", "answer", runcommand.Words(err))
		return nil
	}
	run.Status = string(runcommand.StatusCancelling)
	return r.record(ctx, s)
}
