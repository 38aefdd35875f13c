// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// settled are the conditions that an undisturbed run comes to when everything is over; the first row of the table proves it.
var settled = map[string]string{
	v1alpha1.ConditionReady:              "True/" + v1alpha1.ReasonProbing,
	v1alpha1.ConditionHealthy:            "True/" + v1alpha1.ReasonAllHealthy,
	v1alpha1.ConditionRemediationAllowed: "True/" + v1alpha1.ReasonAllowed,
}

// unsettled says what keeps the run from its end state; nothing when it is reached.
func (r *run) unsettled(ctx context.Context) []string {
	var open []string
	if down := r.down(); len(down) > 0 {
		open = append(open, "down: "+strings.Join(down, " "))
	}
	// What was done to Remediations a moment ago may not have reached the history.
	remediations := &v1alpha1.RemediationList{}
	if err := r.client.List(ctx, remediations, client.InNamespace(r.namespace)); err != nil {
		open = append(open, err.Error())
	} else if unseen := r.history.unseen(remediations.Items); len(unseen) > 0 {
		open = append(open, "Remediations whose change was not seen: "+strings.Join(unseen, " "))
	}
	if remediations := r.history.open(); len(remediations) > 0 {
		open = append(open, "open Remediations: "+strings.Join(remediations, " "))
	}
	for _, name := range policies {
		policy := &v1alpha1.RemediationPolicy{}
		if err := r.client.Get(ctx, r.key(name), policy); err != nil {
			open = append(open, err.Error())
			continue
		}
		open = append(open, unsettledPolicy(policy)...)
	}
	return open
}

func unsettledPolicy(policy *v1alpha1.RemediationPolicy) []string {
	var open []string
	conditions := map[string]string{}
	for _, c := range policy.Status.Conditions {
		conditions[c.Type] = fmt.Sprintf("%s/%s", c.Status, c.Reason)
		if c.ObservedGeneration != policy.Generation {
			conditions[c.Type] += " of an old spec"
		}
	}
	for kind, want := range settled {
		if conditions[kind] != want {
			open = append(open, fmt.Sprintf("%s: %s is %s", policy.Name, kind, conditions[kind]))
		}
		delete(conditions, kind)
	}
	for kind, is := range conditions {
		open = append(open, fmt.Sprintf("%s: %s is there (%s)", policy.Name, kind, is))
	}
	status := &policy.Status
	if targets, healthy := ptr.Deref(status.Targets, 0), ptr.Deref(status.Healthy, 0); targets != nodesPerPolicy || healthy != targets {
		open = append(open, fmt.Sprintf("%s: %d of %d healthy", policy.Name, healthy, targets))
	}
	if len(status.Opening) > 0 {
		open = append(open, fmt.Sprintf("%s: claims %s", policy.Name, status.Opening[0].Name))
	}
	return open
}

const (
	// settleTime is how long everything may take to come to its end, in real time, so that a busy machine fails nothing: a
	// Remediation that is Lost takes up to half an hour of the run's clock when nothing can be read, and the window of the
	// limits has to pass.
	settleTime = 4 * time.Minute
	// lookInterval is real too.
	lookInterval = 100 * time.Millisecond
)

// settle waits until the end state is reached, and returns what is missing at the deadline.
func (r *run) settle(ctx context.Context) []string {
	deadline := time.Now().Add(settleTime)
	for {
		open := r.unsettled(ctx)
		if len(open) == 0 || ctx.Err() != nil || time.Now().After(deadline) {
			return open
		}
		wait(ctx, lookInterval)
	}
}
