// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// maxOutput bounds the output that is kept, in bytes.
const maxOutput = 2048

// maxMessage bounds the message of the condition, in bytes.
const maxMessage = 1024

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
	status.Output = cut(printable(o.output), maxOutput)
	status.CompletionTime = new(metav1.NewMicroTime(s.now))
	took := s.now.Sub(s.remediation.Spec.Detection.Time.Time)
	// Whole seconds, rounded up: what took no time at all did not happen.
	status.Took = &metav1.Duration{Duration: max(took+time.Second-1, time.Second).Truncate(time.Second)}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: string(o.result),
		Message: cut(printable(o.message), maxMessage), ObservedGeneration: s.remediation.Generation,
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
	message := cut(printable(o.message), maxMessage/2)
	r.Events.Eventf(s.remediation, policy, kind, string(o.result), "Remediate", note, o.result, spec.Attempt, spec.InstanceID, message)
	r.Events.Eventf(policy, s.remediation, kind, string(o.result), "Remediate", note, o.result, spec.Attempt, spec.InstanceID, message)
}

// printable removes control characters other than line breaks and tabs: the text is shown in terminals.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && c != '\t' && unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// cut shortens a text to at most so many bytes, without splitting a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("...")], "") + "..."
}
