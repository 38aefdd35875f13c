// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// settleTime is how long it may take until all policies have the first whole round of probes behind them.
const settleTime = 10 * time.Minute

// settle waits until all policies are Ready and know all their instances as Healthy, and then for the time of two rounds. A
// manager that does not get there is measured all the same: that it does not is a finding.
func settle(ctx context.Context, r *run) error {
	ok, err := r.await(ctx, settleTime, func() (bool, error) { return r.allPolicies(ctx, r.settled) })
	if err != nil {
		return err
	}
	took := r.clock.Since(r.began).Round(time.Second)
	r.result.mustBe("all Ready and Healthy after the start", ok, took.String(), counted)
	return r.sleep(ctx, 2*period)
}

// allPolicies tells whether all policies are in a state.
func (r *run) allPolicies(ctx context.Context, are func(*v1alpha1.RemediationPolicy) bool) (bool, error) {
	policies, err := r.policies(ctx)
	if err != nil {
		return false, err
	}
	for i := range policies {
		if !are(&policies[i]) {
			return false, nil
		}
	}
	return len(policies) == r.row.policies, nil
}

func (r *run) settled(policy *v1alpha1.RemediationPolicy) bool {
	return ready(policy) && int(ptr.Deref(policy.Status.Targets, 0)) == r.row.nodes &&
		int(ptr.Deref(policy.Status.Healthy, 0)) == r.row.nodes
}

func ready(policy *v1alpha1.RemediationPolicy) bool {
	return policy.Status.ObservedGeneration == policy.Generation &&
		meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReady)
}
