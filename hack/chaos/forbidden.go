// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"
)

// ban is a time in which nothing may be done to the nodes of a policy, or to any.
type ban struct {
	policy, why string
	from, to    time.Time
}

const (
	// banGrace is how long after the beginning of a ban something may still be done that was on its way: on a busy machine
	// a second of real time passes between the last look and the send.
	banGrace = 40 * time.Second
	// banTime is how long a ban lasts from then on: long enough for processes that end in it to be found down.
	banTime = 60 * time.Second
)

// forbidding turns something on for a while that keeps everything from being done, to the nodes of one policy or, without a
// name, to all.
func (r *run) forbidding(ctx context.Context, policy, why string, turn func(on bool) error) error {
	if err := turn(true); err != nil {
		return err
	}
	b := ban{policy: policy, why: why, from: r.ssmClock.Now().Add(banGrace)}
	r.sleep(ctx, banGrace)
	for n, fleet := range r.fleets {
		if policy == "" || policy == policies[n] {
			r.fail(2, fleet)
		}
	}
	r.sleep(ctx, banTime)
	b.to = r.ssmClock.Now()
	r.mu.Lock()
	r.bans = append(r.bans, b)
	r.mu.Unlock()
	return turn(false)
}

// forbidden says why nothing may have been done to a node at a time; empty when it may.
func (r *run) forbidden(instanceID string, at time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bans {
		if (b.policy == "" || b.policy == r.policyOf(instanceID)) && at.After(b.from) && at.Before(b.to) {
			return b.why
		}
	}
	return ""
}

// policyOf is the name of the policy that a node belongs to.
func (r *run) policyOf(instanceID string) string {
	for n, fleet := range r.fleets {
		if fleet.Node(instanceID) != nil {
			return policies[n]
		}
	}
	return ""
}
