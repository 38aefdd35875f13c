// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// maxMessage bounds the message of the condition and of events, in bytes.
const maxMessage = 512

// mostTook bounds the time that an attempt took: by what clocks have said it may have begun before there were any.
const mostTook = 999_999 * time.Hour

// conclude records the result, and tells of it.
func (r *Reconciler) conclude(ctx context.Context, s *scope) error {
	status, o := &s.remediation.Status, s.outcome
	status.CompletionTime = new(metav1.NewMicroTime(s.now))
	took := min(max(s.now.Sub(s.remediation.Spec.Detection.Time.Time), 1), mostTook)
	// Whole seconds, rounded up: what took no time at all did not happen.
	status.Took = &metav1.Duration{Duration: (took + time.Second - 1).Truncate(time.Second)}
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
	switch o.result {
	case v1alpha1.ResultRecovered, v1alpha1.ResultNotNeeded, v1alpha1.ResultObserved:
		kind = corev1.EventTypeNormal
	default:
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
