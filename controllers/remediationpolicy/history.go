// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// IndexPolicy is the field index of Remediations by the name of their policy.
const IndexPolicy = "spec.policyRef.name"

// attemptsByInstance sorts the recorded attempts by instance, the oldest first. An open claim counts as a running attempt:
// the Remediation may be just about to appear.
func attemptsByInstance(
	now time.Time, policy *v1alpha1.RemediationPolicy, remediations []v1alpha1.Remediation,
	claims []v1alpha1.OpeningRemediation,
) map[string][]decide.Attempt {
	attempts := map[string][]decide.Attempt{}
	for i := range remediations {
		id := string(remediations[i].Spec.InstanceID)
		attempts[id] = append(attempts[id], decide.AttemptOf(&remediations[i], policy))
	}
	for _, claim := range openClaims(now, claims, remediations) {
		id := string(claim.InstanceID)
		attempts[id] = append(attempts[id], decide.Attempt{
			Name: claim.Name, Sequence: claim.Sequence, Result: v1alpha1.ResultRunning, NotAfter: claim.NotAfter.Time,
			Current: true,
		})
	}
	for _, ofInstance := range attempts {
		slices.SortFunc(ofInstance, func(a, b decide.Attempt) int { return cmp.Compare(a.Sequence, b.Sequence) })
	}
	return attempts
}

// openClaims are the claims whose Remediation has not appeared and may still do so.
func openClaims(
	now time.Time, claims []v1alpha1.OpeningRemediation, remediations []v1alpha1.Remediation,
) []v1alpha1.OpeningRemediation {
	var open []v1alpha1.OpeningRemediation
	for _, claim := range claims {
		exists := slices.ContainsFunc(remediations, func(r v1alpha1.Remediation) bool { return r.Name == claim.Name })
		if !exists && claim.NotAfter.After(now) {
			open = append(open, claim)
		}
	}
	return open
}

// prune deletes finished Remediations beyond history.limit. The time to live is kept by each Remediation itself, so that it
// survives its policy.
func (r *Reconciler) prune(ctx context.Context, s *scope) error {
	surplus := decide.Prunable(s.now, &s.policy.Spec, s.instances())
	for i := range s.recorded {
		old := &s.recorded[i]
		if !slices.Contains(surplus, old.Name) {
			continue
		}
		// Of exactly this object: a later attempt may bear its name.
		if err := r.Client.Delete(ctx, old, client.Preconditions{UID: &old.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting Remediation: %w", err)
		}
	}
	return nil
}
