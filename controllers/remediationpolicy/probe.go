// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// probe begins the rounds that are due: one over all instances every period, and one over those whose probe failed.
func (r *Reconciler) probe(_ context.Context, s *scope) error {
	if s.region == nil || s.policy.Spec.Suspend {
		return nil
	}
	r.probeAll(s)
	r.probeAgain(s)
	return nil
}

func (r *Reconciler) probeAll(s *scope) {
	if s.fleet.whole != nil {
		// A round that takes longer than the period puts the next one off: probing slows down instead of piling up.
		return
	}
	due := s.fleet.startTime.Add(time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second)
	if !s.fleet.startTime.IsZero() && s.now.Before(due) {
		s.lookAgain(due)
		return
	}
	round := r.newRound(s)
	round.targets = s.policy.Spec.Targets.DeepCopy()
	if !r.Prober.Begin(round) {
		s.lookAgain(s.now.Add(queueRetry))
		return
	}
	s.fleet.whole, s.fleet.startTime = round, s.now
	s.lookAgain(s.now.Add(time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second))
}

// queueRetry is how long a policy waits whose round did not fit into the Prober's queue.
const queueRetry = time.Second

// probeAgain probes the instances whose probe failed, by themselves and not after a whole period.
func (r *Reconciler) probeAgain(s *scope) {
	var due []string
	for id, state := range s.fleet.states {
		at, wanted := state.ConfirmAt(s.policy.Spec.Probe)
		if !wanted || s.fleet.confirmed[id].Equal(state.Last.ProbeTime) {
			continue
		}
		if s.now.Before(at) {
			s.lookAgain(at)
			continue
		}
		due = append(due, id)
	}
	if len(due) == 0 {
		return
	}
	slices.Sort(due)
	round := r.newRound(s)
	round.instanceIDs = due
	if !r.Prober.Begin(round) {
		s.lookAgain(s.now.Add(queueRetry))
		return
	}
	for _, id := range due {
		s.fleet.confirmed[id] = s.fleet.states[id].Last.ProbeTime
	}
	s.fleet.confirming = append(s.fleet.confirming, round)
	s.lookAgain(s.now.Add(readGrace))
}

func (r *Reconciler) newRound(s *scope) *round {
	return &round{
		policy:    s.key(),
		location:  s.fleet.location,
		binding:   newBinding(s.policy, s.now),
		startTime: s.now,
		check: process.Check{
			Process:   s.policy.Spec.Process,
			Timeout:   time.Duration(s.policy.Spec.Probe.TimeoutSeconds) * time.Second,
			Namespace: s.policy.Namespace,
			Policy:    s.policy.Name,
		},
	}
}
