// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// disconnect takes away the connection of so many nodes, and waits until they are Unknown and all others Healthy.
func disconnect(count int, connection ssmlocal.Connection) phase {
	return func(ctx context.Context, r *run) error {
		for _, node := range r.pick(count) {
			r.server.SetConnection(node.ID(), connection)
		}
		from := r.clock.Now()
		var seen v1alpha1.RemediationPolicyStatus
		ok, err := r.await(ctx, settleTime, func() (bool, error) {
			return r.allPolicies(ctx, func(policy *v1alpha1.RemediationPolicy) bool {
				seen = policy.Status
				return ready(policy) && int(ptr.Deref(seen.Unknown, 0)) == count && int(ptr.Deref(seen.Healthy, 0)) == r.row.nodes-count
			})
		})
		if err != nil {
			return err
		}
		took := r.clock.Since(from)
		r.result.mustBe("those are Unknown, all others Healthy, and the policy Ready", ok, figure(float64(ptr.Deref(seen.Unknown, 0)))+
			" Unknown, "+figure(float64(ptr.Deref(seen.Healthy, 0)))+" Healthy after "+seconds(took)+" s", counted)
		return r.sleep(ctx, 2*period)
	}
}

// judged checks that no round was late while it was measured: a policy whose rounds wait for dead nodes is.
func judged(ctx context.Context, r *run) error {
	policies, err := r.policies(ctx)
	if err != nil {
		return err
	}
	to := r.clock.Now()
	s := r.coverage.between(to.Add(-r.result.steady.span), to)
	r.result.atMost("longest time without a probe", s.longest.Seconds(), (3 * period / 2).Seconds(), "s", timed)
	for i := range policies {
		r.result.mustBe("Ready at the end", ready(&policies[i]), policies[i].Name, counted)
	}
	return nil
}

// allDown ends the process on every node. Nothing is to be touched then, and the status says what is so within its bounds.
func allDown(ctx context.Context, r *run) error {
	at := r.clock.Now()
	for _, node := range r.nodes {
		node.Fail(at)
	}
	var unhealthy int32
	ok, err := r.await(ctx, settleTime, func() (bool, error) {
		return r.allPolicies(ctx, func(policy *v1alpha1.RemediationPolicy) bool {
			unhealthy = ptr.Deref(policy.Status.Unhealthy, 0)
			return int(unhealthy) == r.row.nodes
		})
	})
	if err != nil {
		return err
	}
	r.result.mustBe("all are known to be down", ok,
		figure(float64(unhealthy))+" after "+r.clock.Since(at).Round(time.Second).String(), counted)
	return r.sleep(ctx, 2*period)
}
