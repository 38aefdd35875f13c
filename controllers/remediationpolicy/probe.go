// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"maps"
	"slices"
	"time"

	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// probe begins the rounds that are due: one over all instances every period, and one over those whose probe failed.
func (r *Reconciler) probe(s *scope) {
	if s.paused != nil {
		// Nothing of what was begun is sent any more either, and no round is late.
		r.forget(s.fleet)
		s.fleet.startTime, s.fleet.intervals = time.Time{}, [2]time.Duration{}
		s.fleet.due.Store(0)
		s.fleet.late.Store(0)
	}
	if s.region == nil || s.paused != nil {
		return
	}
	r.probeAll(s)
	r.probeAgain(s)
	r.watch(s)
}

func (r *Reconciler) probeAll(s *scope) {
	if s.fleet.whole != nil {
		// A round that takes longer than the period puts the next one off: probing slows down instead of piling up.
		return
	}
	due := r.nextRound(s)
	if !s.fleet.startTime.IsZero() && s.now.Before(due) && !s.requests.Probe {
		s.lookAgain(due)
		return
	}
	round := r.newWhole(s)
	if !r.Prober.Begin(round) {
		s.lookAgain(s.now.Add(queueRetry))
		return
	}
	if !s.fleet.startTime.IsZero() {
		s.fleet.late.Store(int64(max(0, s.now.Sub(due))))
		s.fleet.intervals = [2]time.Duration{s.fleet.intervals[1], s.now.Sub(s.fleet.startTime)}
	}
	s.fleet.whole, s.fleet.startTime = round, s.now
	s.fleet.due.Store(r.nextRound(s).UnixNano())
	if s.requests.Probe {
		s.requests.AcknowledgeProbe(s.now, s.policy)
	}
	s.lookAgain(s.now.Add(time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second))
}

// newWhole is a round over all instances, but for those that are being watched.
func (r *Reconciler) newWhole(s *scope) *round {
	round := r.newRound(s)
	round.expected, round.byID = s.fleet.expected, s.now.Before(s.fleet.byIDUntil)
	if s.watching() {
		round.watched = s.fleet.watched()
		// What is not known of a node its watch does not tell before its end.
		maps.DeleteFunc(round.watched, func(id string, _ bool) bool { return s.fleet.states[id].Health != v1alpha1.HealthHealthy })
	}
	round.recovering, round.silent = map[string]bool{}, map[string]bool{}
	for id, state := range s.fleet.states {
		if s.recovering(id) {
			round.recovering[id] = true
		}
		if state.Last.Reason == ReasonNoAnswer {
			round.silent[id] = true
		}
	}
	period := time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second
	round.inventory = s.fleet.inventory
	round.retake = s.requests.Probe || s.fleet.inventory.stale(s.now, period, s.fleet.misfit)
	if s.requests.Probe {
		round.source = v1alpha1.DetectionSourceRequest
	}
	return round
}

// nextRound is when the next round over all instances is due.
func (r *Reconciler) nextRound(s *scope) time.Time {
	period := time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second
	if !r.Spread {
		return s.fleet.startTime.Add(period)
	}
	return nextRound(s.fleet.startTime, period, placeOf(s.key()))
}

// queueRetry is how long a policy waits whose round did not fit into the Prober's queue.
const queueRetry = time.Second

// dueAgain are the instances that are to be probed by themselves, and not after a whole period: those whose probe failed, and
// those that only wait for a fresh probe to be recovered.
func (s *scope) dueAgain() []string {
	awaiting := map[string]bool{}
	for _, decision := range s.decisions {
		// One that has begun to come up again waits for its next regular probe.
		failed := s.fleet.states[decision.InstanceID].Failures >= s.policy.Spec.Probe.FailureThreshold
		awaiting[decision.InstanceID] = failed && decision.Wait != nil && decision.Wait.Reason == v1alpha1.BlockedAwaitingProbe
	}
	var due []string
	for id, state := range s.fleet.states {
		at, wanted := state.ConfirmAt(s.policy.Spec.Probe)
		switch {
		case !wanted && !awaiting[id], s.fleet.confirmed[id].Equal(state.Last.ProbeTime):
		case wanted && s.now.Before(at):
			s.lookAgain(at)
		default:
			due = append(due, id)
		}
	}
	slices.Sort(due)
	return due
}

func (r *Reconciler) probeAgain(s *scope) {
	due := s.dueAgain()
	if len(due) == 0 {
		return
	}
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
		targets:   *s.policy.Spec.Targets.DeepCopy(),
		startTime: s.now,
		source:    v1alpha1.DetectionSourceProbe,
		check: process.Check{
			Process:      s.policy.Spec.Process,
			Timeout:      time.Duration(s.policy.Spec.Probe.TimeoutSeconds) * time.Second,
			StartupGrace: time.Duration(ptr.Deref(s.policy.Spec.Probe.StartupGraceSeconds, 0)) * time.Second,
			Namespace:    s.policy.Namespace,
			Policy:       s.policy.Name,
		},
	}
}
