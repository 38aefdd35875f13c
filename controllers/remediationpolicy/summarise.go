// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

const (
	// maxInstances and maxReasons bound the lists in status, maxListed a message in them, in bytes: of each instance there are two, and
	// all have to stay within 100 KB. Messages of conditions and events may be longer.
	maxInstances = 100
	maxReasons   = 64
	maxListed    = 240
	maxMessage   = 512
	// heartbeat is how often the status of a policy is written while nothing happens.
	heartbeat = 5 * time.Minute
)

// summarise makes up the status and writes it when it says something new.
func (r *Reconciler) summarise(ctx context.Context, s *scope) error {
	s.fillStatus()
	s.setConditions()
	for _, decision := range s.decisions {
		if decision.Wait != nil {
			s.lookAgain(decision.Wait.Until)
		}
	}
	if !s.worthWriting() {
		r.emitEvents(s)
		return nil
	}
	patch := client.MergeFromWithOptions(s.before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, s.policy, patch); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	r.emitEvents(s)
	return nil
}

// worthWriting reports whether the status says something new. That a round was judged is news only now and then.
func (s *scope) worthWriting() bool {
	was, is := s.before.Status.DeepCopy(), s.policy.Status.DeepCopy()
	if was.LastProbeTime != nil && is.LastProbeTime != nil && is.LastProbeTime.Sub(was.LastProbeTime.Time) < heartbeat {
		was.LastProbeTime, is.LastProbeTime = nil, nil
	}
	return !equality.Semantic.DeepEqual(was, is)
}

// fillStatus fills in all but the conditions.
func (s *scope) fillStatus() {
	status := &s.policy.Status
	if status.ObservedGeneration != s.policy.Generation {
		// Counts of another spec say nothing about this one.
		s.clearHealth()
	}
	status.ObservedGeneration = s.policy.Generation
	if s.region != nil {
		status.Account, status.Region = s.fleet.location.Account, s.fleet.location.Region
	}
	if !s.fleet.judgeTime.IsZero() {
		status.LastProbeTime = new(metav1.NewMicroTime(s.fleet.judgeTime))
	}
	if at := s.lastRemediation(); at.After(ptr.Deref(status.LastRemediationTime, metav1.MicroTime{}).Time) {
		status.LastRemediationTime = new(metav1.NewMicroTime(at))
	}
	s.settleClaims()
	status.Requests = s.requests.Acknowledged
	s.countHealth()
}

// settleClaims takes out the claims that are void, and those whose Remediation is there. Both are named in status.opened, beside
// earlier ones: of two replicas that create at the same time nobody knows whose were first.
func (s *scope) settleClaims() {
	status := &s.policy.Status
	var open []v1alpha1.OpeningRemediation
	opened := []string{}
	for _, claim := range status.Opening {
		switch {
		case s.appeared(claim) != "":
			opened = append(opened, s.appeared(claim))
		case claim.NotAfter.After(s.now):
			open = append(open, claim)
		default:
			// Nobody here knows whether it was created.
			opened = append(opened, claim.Name)
		}
	}
	status.Opening = open
	for _, id := range status.Opened {
		if !slices.Contains(opened, id) {
			opened = append(opened, id)
		}
	}
	status.Opened = opened[:min(len(opened), maxOpening)]
}

// lastRemediation is when the last attempt ended; zero without one.
func (s *scope) lastRemediation() time.Time {
	var last time.Time
	for _, attempts := range s.attempts {
		for _, a := range attempts {
			if a.EndTime.After(last) {
				last = a.EndTime
			}
		}
	}
	return last
}

// appeared is the uid of the Remediation of a claim, when that is known to exist.
func (s *scope) appeared(claim v1alpha1.OpeningRemediation) string {
	for _, a := range s.attempts[string(claim.InstanceID)] {
		if a.Name == claim.Name {
			return a.UID
		}
	}
	return ""
}

// clearHealth empties the numbers and lists.
func (s *scope) clearHealth() {
	status := &s.policy.Status
	status.Targets, status.Healthy, status.Unhealthy, status.Held, status.Unknown = nil, nil, nil, nil, nil
	status.Summary, status.Blocked, status.Instances = nil, nil, nil
}

// countHealth fills in the numbers and lists. Until the first inventory they stay as they were, and while nothing is probed
// nobody knows them.
func (s *scope) countHealth() {
	if s.paused != nil {
		s.clearHealth()
		return
	}
	if !s.fleet.inventoried {
		return
	}
	status := &s.policy.Status
	counts := map[v1alpha1.Health]int32{}
	reasons := map[string]int32{}
	var instances []v1alpha1.InstanceStatus
	for id, state := range s.fleet.states {
		counts[state.Health]++
		if state.Health == v1alpha1.HealthHealthy {
			continue
		}
		reasons[state.Reason]++
		instances = append(instances, v1alpha1.InstanceStatus{
			InstanceID: v1alpha1.InstanceID(id), Health: state.Health, Since: metav1.NewMicroTime(state.Since),
			Reason: state.Reason, Message: process.Printable(state.Message, maxListed, ""),
		})
	}
	status.Targets = new(int32(len(s.fleet.states)))
	status.Healthy = new(counts[v1alpha1.HealthHealthy])
	status.Unhealthy = new(counts[v1alpha1.HealthUnhealthy])
	status.Held = new(counts[v1alpha1.HealthHeld])
	status.Unknown = new(counts[v1alpha1.HealthUnknown])
	status.Summary = summary(reasons)
	blocked := map[string]int32{}
	for _, decision := range s.decisions {
		if decision.Wait != nil {
			blocked[decision.Wait.Reason]++
		}
	}
	status.Blocked = summary(blocked)
	status.Instances = s.worst(instances)
}

func summary(reasons map[string]int32) []v1alpha1.ReasonCount {
	var counts []v1alpha1.ReasonCount
	for reason, count := range reasons {
		counts = append(counts, v1alpha1.ReasonCount{Reason: reason, Count: count})
	}
	slices.SortFunc(counts, func(a, b v1alpha1.ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return counts[:min(len(counts), maxReasons)]
}

// worst returns the instances to list, Unhealthy ones first and those that have been so for long before others, each with
// what keeps it from being recovered.
func (s *scope) worst(instances []v1alpha1.InstanceStatus) []v1alpha1.InstanceStatus {
	rank := map[v1alpha1.Health]int{v1alpha1.HealthUnhealthy: 0, v1alpha1.HealthHeld: 1, v1alpha1.HealthUnknown: 2}
	slices.SortFunc(instances, func(a, b v1alpha1.InstanceStatus) int {
		return cmp.Or(cmp.Compare(rank[a.Health], rank[b.Health]), a.Since.Compare(b.Since.Time),
			cmp.Compare(a.InstanceID, b.InstanceID))
	})
	instances = instances[:min(len(instances), maxInstances)]
	waits := map[string]*decide.Wait{}
	for _, decision := range s.decisions {
		waits[decision.InstanceID] = decision.Wait
	}
	for i := range instances {
		if wait := waits[string(instances[i].InstanceID)]; wait != nil {
			instances[i].Blocked = blocked(wait)
		}
	}
	return instances
}

func blocked(wait *decide.Wait) *v1alpha1.Blocked {
	b := &v1alpha1.Blocked{Reason: wait.Reason, Message: process.Printable(wait.Message, maxListed, "")}
	if !wait.Until.IsZero() {
		b.Until = new(metav1.NewMicroTime(wait.Until))
	}
	return b
}
