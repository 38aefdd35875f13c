// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// run returns the command of purpose Run, or nil when there is no intent to send it.
func run(remediation *v1alpha1.Remediation) *v1alpha1.CommandStatus {
	for i := range remediation.Status.Commands {
		if remediation.Status.Commands[i].Purpose == v1alpha1.CommandPurposeRun {
			return &remediation.Status.Commands[i]
		}
	}
	return nil
}

// intend records that the command is about to be sent.
func (r *Reconciler) intend(ctx context.Context, s *scope) error {
	if run(s.remediation) != nil {
		return nil
	}
	veto, err := r.veto(ctx, r.Client, s)
	if err != nil || veto != "" {
		s.withdraw(veto)
		return err
	}
	now := metav1.NewMicroTime(s.now)
	status := &s.remediation.Status
	status.Commands = append(status.Commands, v1alpha1.CommandStatus{Purpose: v1alpha1.CommandPurposeRun, IntentTime: now})
	if status.StartTime == nil {
		status.StartTime = &now
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ResultRunning),
		Message: "the recovery is being carried out", ObservedGeneration: s.remediation.Generation,
		LastTransitionTime: metav1.NewTime(s.now),
	})
	if err := r.record(ctx, s); err != nil {
		return err
	}
	s.intended = true
	return nil
}

// withdraw ends the attempt before anything was sent, when there is a reason to.
func (s *scope) withdraw(veto string) {
	if veto != "" {
		s.outcome = &outcome{result: v1alpha1.ResultWithdrawn, message: veto + "; nothing was sent"}
	}
}

// veto says why the attempt must not be sent any more, by what the reader knows; empty when it may.
func (r *Reconciler) veto(ctx context.Context, reader client.Reader, s *scope) (string, error) {
	spec := &s.remediation.Spec
	if r.Clock.Now().After(spec.NotAfter.Time) {
		return fmt.Sprintf("it was not sent until %s (spec.notAfter)", spec.NotAfter.UTC().Format("15:04:05Z")), nil
	}
	if !s.remediation.DeletionTimestamp.IsZero() {
		return "the Remediation was deleted", nil
	}
	if veto, err := vetoOfPolicy(ctx, reader, s.remediation.Namespace, spec.PolicyRef); veto != "" || err != nil {
		return veto, err
	}
	own, err := r.Regions.Locate(spec.Region)
	if err != nil {
		return "", fmt.Errorf("finding out the account: %w", err)
	}
	if own.Account != spec.Account {
		return fmt.Sprintf("the controller's credentials are for account %s now", own.Account), nil
	}
	return "", nil
}

// vetoOfPolicy says why the policy does not want the attempt any more.
func vetoOfPolicy(
	ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.PolicyReference,
) (string, error) {
	policy := &v1alpha1.RemediationPolicy{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, policy)
	switch {
	case apierrors.IsNotFound(err):
		return "the policy was deleted", nil
	case err != nil:
		return "", fmt.Errorf("reading the policy: %w", err)
	case policy.UID != ref.UID, !policy.DeletionTimestamp.IsZero():
		return "the policy was deleted", nil
	case policy.Spec.Suspend:
		return "the policy was suspended", nil
	case policy.Generation != ref.Generation:
		return "the policy was changed", nil
	}
	return "", nil
}
