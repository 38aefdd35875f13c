// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// leftToOthers tells whether the attempt is carried out by another manager: the one that has chosen its policy by the labels.
//
// They change hands without a word between the managers, so that none is left without one. When the policy is gone, everybody
// carries the attempt to its end, and after takeOverTime too: nobody may have chosen the policy, or whoever has is not there.
// Several at once do no harm, as little as several replicas: each intent, and each result, is one optimistic lock.
func (r *Reconciler) leftToOthers(ctx context.Context, s *scope) (bool, error) {
	if r.Shard.Policies == nil || s.now.After(takeOverTime(s.remediation)) {
		return false, nil
	}
	policy, err := r.policyOf(ctx, s.remediation)
	if err != nil || policy == nil || r.Shard.Has(policy) {
		return false, err
	}
	s.letGo()
	return true, nil
}

// policyOf is the policy of that name, whose labels count even when it is another one than that which opened the attempt; nil
// when there is none.
func (r *Reconciler) policyOf(ctx context.Context, remediation *v1alpha1.Remediation) (*v1alpha1.RemediationPolicy, error) {
	key := types.NamespacedName{Namespace: remediation.Namespace, Name: remediation.Spec.PolicyRef.Name}
	policy := &v1alpha1.RemediationPolicy{}
	err := r.Client.Get(ctx, key, policy)
	if apierrors.IsNotFound(err) {
		// The cache may not have it yet, and another manager's attempt is not to be withdrawn for that.
		err = r.Live.Get(ctx, key, policy)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	return policy, nil
}

// takeOverTime is when the manager that has chosen the policy has surely had the time to end what is due in an attempt. From then
// on nothing is sent any more that acts: it is only found out what has become of it.
func takeOverTime(remediation *v1alpha1.Remediation) time.Time {
	purpose := next(remediation)
	switch {
	case purpose == v1alpha1.CommandPurposeVerify:
		return verifyEnd(remediation).Add(2 * lookTime(remediation))
	case commandOf(remediation, purpose) == nil:
		return remediation.Spec.NotAfter.Add(clockSkew)
	default:
		return horizon(remediation, purpose)
	}
}
