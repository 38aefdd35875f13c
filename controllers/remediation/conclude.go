// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// maxMessage bounds the message of the condition and of events, in bytes.
const maxMessage = 512

// outcome is what came of an attempt.
type outcome struct {
	result   v1alpha1.Result
	message  string
	exitCode *int32
	output   string
}

// conclusion turns the end of the command into an outcome. What happened on the node is told by the node's own report
// alone; a status or an exit code only explains a report that is missing.
func conclusion(i runcommand.Invocation, binding string) *outcome {
	report, err := process.ReadReport(i.Output, binding)
	switch {
	case err == nil && report.Result != "":
		return reported(report)
	case err == nil && report.Acted:
		return interrupted(i)
	case err == nil && i.Status.Ran():
		// What the script prints is on its way before it goes on, and the agent has reported all of it.
		return &outcome{result: v1alpha1.ResultWithheld, message: fmt.Sprintf(
			"the script was ended on the node before it acted (%s, exit code %d)", i.StatusText, i.ResponseCode)}
	case i.Status == runcommand.StatusDeliveryTimedOut:
		return &outcome{result: v1alpha1.ResultNotDelivered, message: "the node did not take the command in time"}
	default:
		return &outcome{result: v1alpha1.ResultLost, message: fmt.Sprintf(
			"the command ended without a report of the node (%s, exit code %d); whether the step ran is not known",
			i.StatusText, i.ResponseCode)}
	}
}

// reported is the outcome of a script that came to its end.
func reported(report process.Report) *outcome {
	if report.Result == v1alpha1.ResultWithheld && report.Reason == process.ReasonAlreadyRan {
		return &outcome{result: v1alpha1.ResultLost,
			message: "the step ran once, and the agent then ran the command again, which replaced its report"}
	}
	return &outcome{report.Result, report.Message, report.ExitCode, report.Output}
}

// interrupted is the outcome of a script that began to act and was ended before its report.
func interrupted(i runcommand.Invocation) *outcome {
	if i.Status == runcommand.StatusExecutionTimedOut {
		return &outcome{result: v1alpha1.ResultTimedOut,
			message: "the agent ended the command while the step or its verification ran"}
	}
	return &outcome{result: v1alpha1.ResultFailed, message: fmt.Sprintf(
		"the command ended while the step or its verification ran (%s, exit code %d)", i.StatusText, i.ResponseCode)}
}

// conclude records the result, and tells of it.
func (r *Reconciler) conclude(ctx context.Context, s *scope) error {
	status, o := &s.remediation.Status, s.outcome
	status.ExitCode = o.exitCode
	status.Output = o.output
	status.CompletionTime = new(metav1.NewMicroTime(s.now))
	took := s.now.Sub(s.remediation.Spec.Detection.Time.Time)
	// Whole seconds, rounded up: what took no time at all did not happen.
	status.Took = &metav1.Duration{Duration: max(took+time.Second-1, time.Second).Truncate(time.Second)}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: string(o.result),
		Message: process.Printable(o.message, maxMessage, ""), ObservedGeneration: s.remediation.Generation,
		LastTransitionTime: metav1.NewTime(s.now),
	})
	if err := r.record(ctx, s); err != nil {
		return err
	}
	r.tell(ctx, s)
	return nil
}

// tell writes the one log line of the result, and the events: one for those who look at the Remediation, and one for those
// who look at the policy.
func (r *Reconciler) tell(ctx context.Context, s *scope) {
	spec, o := &s.remediation.Spec, s.outcome
	log.FromContext(ctx).Info("Remediation ended", "policy", spec.PolicyRef.Name, "account", spec.Account, "region", spec.Region,
		"instance", spec.InstanceID, "attempt", spec.Attempt, "step", spec.StepIndex, "result", o.result, "message", o.message,
		"took", s.remediation.Status.Took.Duration.String())
	kind := corev1.EventTypeWarning
	if o.result == v1alpha1.ResultRecovered || o.result == v1alpha1.ResultNotNeeded {
		kind = corev1.EventTypeNormal
	}
	policy := &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "RemediationPolicy",
		Namespace: s.remediation.Namespace, Name: spec.PolicyRef.Name, UID: spec.PolicyRef.UID,
	}
	note := "%s: attempt %d on %s: %s"
	message := process.Printable(o.message, maxMessage, "")
	r.Events.Eventf(s.remediation, policy, kind, string(o.result), "Remediate", note, o.result, spec.Attempt, spec.InstanceID, message)
	r.Events.Eventf(policy, s.remediation, kind, string(o.result), "Remediate", note, o.result, spec.Attempt, spec.InstanceID, message)
}
