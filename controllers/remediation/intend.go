// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// intend records that the next command is about to be sent. Those that verify have no need of it: they can be sent again.
//
// It waits until AWS may be called first: an intent that waits would be one that nobody knows the end of when the controller stops
// meanwhile, and the last look of dispatch would be an old one.
func (r *Reconciler) intend(ctx context.Context, s *scope) error {
	purpose := next(s.remediation)
	if purpose == v1alpha1.CommandPurposeVerify || commandOf(s.remediation, purpose) != nil {
		return nil
	}
	veto, err := r.veto(ctx, r.Client, s)
	if err != nil || veto != "" {
		s.withdraw(veto)
		return err
	}
	if s.region.Budget.State().Waiting[runcommand.PriorityRecovery] >= maxWaiting {
		s.next = throttledRetry
		return nil
	}
	if s.call, err = s.region.Budget.Reserve(ctx); err != nil {
		return err
	}
	s.now = r.Clock.Now()
	now := metav1.NewMicroTime(s.now)
	status := &s.remediation.Status
	status.Commands = append(status.Commands, v1alpha1.CommandStatus{Purpose: purpose, IntentTime: now})
	if status.StartTime == nil {
		status.StartTime = &now
	}
	s.running(doing(s.remediation.Spec.Step, purpose))
	// A write that is broken off may have been carried out, and nobody would send after it.
	if err := r.record(context.WithoutCancel(ctx), s); err != nil {
		return err
	}
	s.intended = purpose
	return nil
}

// doing says in words what the command of a purpose does.
func doing(step v1alpha1.RecoveryStep, purpose v1alpha1.CommandPurpose) string {
	switch {
	case purpose == v1alpha1.CommandPurposeCheck:
		return "the process is looked at again before the document is run"
	case purpose == v1alpha1.CommandPurposeVerify && step.Reboot != nil:
		return "the node reboots; the process has to be healthy after that"
	case purpose == v1alpha1.CommandPurposeVerify:
		return "the document was run; the process has to be healthy now"
	case step.Document != nil:
		return "the document runs"
	case step.Reboot != nil:
		return "the reboot is being ordered"
	default:
		return "the recovery is being carried out"
	}
}

// running says in the condition what is going on.
func (s *scope) running(message string) {
	meta.SetStatusCondition(&s.remediation.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ResultRunning),
		Message: message, ObservedGeneration: s.remediation.Generation, LastTransitionTime: metav1.NewTime(s.now),
	})
}

// withdraw ends the attempt before it has touched anything, when there is a reason to.
func (s *scope) withdraw(veto string) {
	switch {
	case veto == "":
	case next(s.remediation) == sequence(s.remediation.Spec.Step)[0]:
		s.outcome = &outcome{v1alpha1.ResultWithdrawn, veto + "; nothing was sent"}
	default:
		s.outcome = &outcome{v1alpha1.ResultWithdrawn, veto + "; the document was not sent"}
	}
}
