// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// change is an instance whose health has changed.
type change struct {
	instanceID    string
	before, after decide.State
}

// observe takes in what the rounds under way have found.
func (r *Reconciler) observe(s *scope) {
	if s.problem != nil && s.paused == nil {
		s.observeOutage(s.problem)
	}
	if s.region == nil {
		return
	}
	if whole := s.fleet.whole; whole != nil {
		r.observeWhole(s, whole)
	}
	s.fleet.confirming = slices.DeleteFunc(s.fleet.confirming, func(confirm *round) bool {
		return r.observeRound(s, confirm)
	})
	r.observeWatches(s)
}

// observeWhole takes in a whole round: who belongs to the fleet, how they are, and at its end whether AWS had a problem.
func (r *Reconciler) observeWhole(s *scope, whole *round) {
	begun, members, trouble := whole.state()
	switch {
	case !begun:
		s.lookAgain(s.now.Add(readGrace))
		return
	case trouble != nil && len(members) == 0:
		s.observeOutage(trouble)
	default:
		s.fleet.setMembers(members, s.now)
	}
	if !r.observeRound(s, whole) {
		if whole.wantsRecount() {
			if r.Prober.Begin(whole) {
				whole.recountQueued()
			} else {
				s.lookAgain(s.now.Add(queueRetry))
			}
		}
		return
	}
	s.concludeWhole(whole)
}

// concludeWhole takes over from a whole round what the next ones can use. One that says nothing about most of the fleet is made
// again at once, by ids.
func (s *scope) concludeWhole(whole *round) {
	s.fleet.whole = nil
	if whole.inventory != nil {
		s.fleet.inventory = whole.inventory
	}
	if whole.void() {
		s.fleet.byIDUntil = s.now.Add(byIDTime)
		s.fleet.startTime, s.fleet.misfit = time.Time{}, false
		return
	}
	_, _, s.fleet.problem = whole.state()
	s.fleet.judgeTime = s.now
	s.fleet.misfit = s.anyUnreached(whole)
	s.fleet.expected = nextExpected(whole.expected, whole.settled())
}

// byIDTime is how long nodes are probed by their ids when one command to their tags did not do.
const byIDTime = time.Hour

// anyUnreached reports whether a node was sent to that may not be there any more.
func (s *scope) anyUnreached(whole *round) bool {
	for _, id := range whole.members {
		switch s.fleet.states[id].Last.Reason {
		case ReasonNoAnswer, ReasonNotDelivered, decide.ReasonNodeNotManaged:
			return true
		}
	}
	return false
}

// nextExpected is how long the next round will probably take after one that has settled so late. It is tried whether it is not
// less; nodes that answer within a second are asked at once.
func nextExpected(expected, settled time.Duration) time.Duration {
	next := settled
	if settled <= expected {
		next = settled * 9 / 10
	}
	if next < time.Second {
		return 0
	}
	return next
}

// observeOutage handles a round that did not get as far as an inventory: nothing is known of any instance.
func (s *scope) observeOutage(trouble *problem) {
	if len(s.fleet.states) == 0 && len(s.policy.Spec.Targets.InstanceIDs) > 0 {
		var ids []string
		for _, id := range s.policy.Spec.Targets.InstanceIDs {
			ids = append(ids, string(id))
		}
		s.fleet.setMembers(ids, s.now)
	}
	for id := range s.fleet.states {
		o := unknown(trouble.reason, trouble.message)
		o.ProbeTime, o.ReadTime = s.now, s.now
		s.apply(finding{id, o})
	}
}

// observeRound takes in what a round has found, and reports whether it is over.
func (r *Reconciler) observeRound(s *scope, round *round) bool {
	findings, over := round.collect(s.now, s.region)
	for _, f := range findings {
		if round.watch.Duration > 0 {
			delete(s.fleet.unreached, f.instanceID)
		}
		s.noteBusy(f)
		if !s.stale(f) {
			s.apply(f)
		}
	}
	if !over {
		s.lookAgain(round.lookAgain(s.now))
	}
	return over
}

// stale reports whether a finding says nothing any more: the instance is being recovered, or was since the probe was sent.
func (s *scope) stale(f finding) bool {
	attempts := s.attempts[f.instanceID]
	if len(attempts) == 0 {
		return false
	}
	// An end that is still to come was recorded by a clock that was ahead, and is over.
	end := attempts[len(attempts)-1].EndTime
	return s.recovering(f.instanceID) || (f.ProbeTime.Before(end) && !end.After(s.now))
}

// recovering reports whether an attempt to recover an instance is under way. A claim alone does nothing to the instance.
func (s *scope) recovering(id string) bool {
	attempts := s.attempts[id]
	if len(attempts) == 0 {
		return false
	}
	last := attempts[len(attempts)-1]
	claimed := !last.NotAfter.IsZero()
	return last.Running() && !claimed
}

// apply moves the state of one instance.
func (s *scope) apply(f finding) {
	before, known := s.fleet.states[f.instanceID]
	if !known {
		return
	}
	after := before.Observe(f.Observation, s.policy.Spec.Probe)
	s.fleet.states[f.instanceID] = after
	if before.Health != after.Health {
		s.fleet.changes = append(s.fleet.changes, change{f.instanceID, before, after})
	}
}

// observationOf is what an ended attempt tells about the health of its instance: it probed last, on the node. That was no later than
// now, whatever the clock said that recorded it.
func (s *scope) observationOf(a decide.Attempt) (decide.Observation, bool) {
	if a.Result != v1alpha1.ResultRecovered && a.Result != v1alpha1.ResultNotNeeded {
		return decide.Observation{}, false
	}
	end := a.EndTime
	if end.After(s.now) {
		end = s.now
	}
	return decide.Observation{
		Health: v1alpha1.HealthHealthy, Reason: string(a.Result), Message: "verified by Remediation " + a.Name,
		ProbeTime: end, ReadTime: end,
	}, true
}
