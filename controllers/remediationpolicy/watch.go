// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// In the mode Watch the probe of a node that was found Healthy stays on it, for what is left of an epoch of probe.watchSeconds:
//
//	round ──> Healthy ──> watch ──> epoch over: still Healthy ──> the next watch
//	  ^                     │
//	  └── every period ─────┴─────> down, Held, Unknown, lost, or another one watches the node
//
// All watches of an epoch end together, so that those of the next one fit into as few commands as there can be; it is not waited long
// for those that are lost. A round of every period is about the nodes that nobody watches, those that were not Healthy when they were
// last looked at, and about who belongs to the fleet.

const (
	// watchPoll is how often the counts of watches are read: one call for fifty commands, which is 2,500 nodes.
	watchPoll = 1500 * time.Millisecond
	// watchSettle is how long after the first of several nodes a node that went down with them is told of: the looks of up
	// to three in a row, with their pauses, and reading.
	watchSettle = 5 * time.Second
	// watchStraggle is how long after its time a watch may end that is not lost.
	watchStraggle = 10 * time.Second
	// busyTime is how long a node that another policy watches, or that a watch did not reach, is not asked for a watch. It doubles up
	// to intervalsTime as long as watches do not reach the node, mostUnreached times at the most.
	busyTime      = time.Minute
	mostUnreached = 6
	// intervalsTime is how long no node is watched when watches do not reach most of the nodes.
	intervalsTime = time.Hour
)

// watching reports whether the policy wants its nodes watched.
func (s *scope) watching() bool { return s.policy.Spec.Probe.Mode == v1alpha1.ProbeWatch }

// watch begins the watches that are due.
func (r *Reconciler) watch(s *scope) {
	if !s.watching() || !s.fleet.inventoried || s.fleet.whole != nil || s.now.Before(s.fleet.intervalsUntil) {
		return
	}
	period := time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second
	until := s.watchedUntil()
	if !until.After(s.now) {
		s.fleet.watchEnd = s.now.Add(time.Duration(s.policy.Spec.Probe.WatchSeconds) * time.Second)
	}
	left := s.fleet.watchEnd.Sub(s.now).Truncate(time.Second)
	due := s.unwatched()
	if len(due) == 0 || left < period {
		s.lookAgain(until)
		return
	}
	round := r.newRound(s)
	round.instanceIDs, round.watch = due, process.Watch{Duration: left, Threshold: s.policy.Spec.Probe.FailureThreshold}
	if !r.Prober.Begin(round) {
		s.lookAgain(s.now.Add(queueRetry))
		return
	}
	s.fleet.watches = append(s.fleet.watches, round)
}

// watchedUntil is until when there may be watches that are not lost; zero without any.
func (s *scope) watchedUntil() (until time.Time) {
	for _, round := range s.fleet.watches {
		if end := round.watchedUntil(s.now); end.After(until) {
			until = end
		}
	}
	return until
}

func (r *round) watchedUntil(now time.Time) (until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return now.Add(r.watch.Duration)
	}
	for _, send := range r.sends {
		if end := send.sendTime.Add(r.watch.Duration + watchStraggle); !send.done && end.After(until) {
			until = end
		}
	}
	return until
}

// unwatched are the Healthy nodes that nobody watches and that are free.
func (s *scope) unwatched() []string {
	watched := s.fleet.watched()
	var due []string
	for id, state := range s.fleet.states {
		if state.Health == v1alpha1.HealthHealthy && state.Failures == 0 && !watched[id] && !s.fleet.busyUntil[id].After(s.now) {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	return due
}

// watched are the nodes that are being watched.
func (f *fleet) watched() map[string]bool {
	watched := map[string]bool{}
	for _, round := range f.watches {
		for _, id := range round.unanswered() {
			watched[id] = true
		}
	}
	return watched
}

// observeWatches takes in what the watches have found.
func (r *Reconciler) observeWatches(s *scope) {
	s.fleet.watches = slices.DeleteFunc(s.fleet.watches, func(round *round) bool {
		over := r.observeRound(s, round)
		s.noteUnwatched(round)
		return over
	})
}

// noteUnwatched takes notice of nodes that a watch was not sent to, or did not reach in time. That says nothing about them: they are
// probed every period, like all that nobody watches, and tried again later. Where the next wave of a command goes out when the nodes of
// the last one are done, and not when they have the command, watches do not get beyond the first few nodes, and then the whole policy
// does without.
func (s *scope) noteUnwatched(round *round) {
	unsent, unreached, inTurn := round.takeUnwatched()
	for _, id := range unsent {
		s.fleet.busyUntil[id] = s.now.Add(busyTime)
	}
	for _, id := range unreached {
		s.fleet.busyUntil[id] = s.now.Add(min(busyTime<<s.fleet.unreached[id], intervalsTime))
		s.fleet.unreached[id] = min(s.fleet.unreached[id]+1, mostUnreached)
	}
	if inTurn {
		s.fleet.intervalsUntil = s.now.Add(intervalsTime)
	}
}

// takeUnwatched takes out the nodes that a watch was not sent to and those that it was not delivered to, and reports whether it went
// to them in turn.
func (r *round) takeUnwatched() (unsent, unreached []string, inTurn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	unsent, r.unsent = r.unsent, nil
	for _, send := range r.sends {
		unreached = append(unreached, send.unwatched...)
		inTurn = inTurn || send.inTurn
		send.unwatched, send.inTurn = nil, false
	}
	return unsent, unreached, inTurn
}

// noteBusy takes notice of a node that another policy watches: it is probed every period, and tried again later.
func (s *scope) noteBusy(f finding) {
	if f.Reason == ReasonWatchedByAnother {
		s.fleet.busyUntil[f.instanceID] = s.now.Add(busyTime)
	}
}

// yetToTell are watched nodes that may have gone down together with others, and have not told so yet. As long as no more nodes are
// down than the breaker always lets pass nobody waits for them.
func (s *scope) yetToTell() map[string]bool {
	if len(s.fleet.watches) == 0 {
		return nil
	}
	var failures []time.Time
	for _, state := range s.fleet.states {
		if state.Failures > 0 {
			failures = append(failures, state.FirstFailure)
		}
	}
	burst := lastBurst(failures, watchSettle)
	if len(burst) <= leastTold {
		return nil
	}
	// The others do not put it off: else one that fails again and again would hold up all.
	until := burst[leastTold].Add(watchSettle)
	if !until.After(s.now) {
		return nil
	}
	s.lookAgain(until)
	return s.fleet.watched()
}

// lastBurst returns the last times that follow each other within a gap, the earliest first.
func lastBurst(times []time.Time, gap time.Duration) []time.Time {
	slices.SortFunc(times, time.Time.Compare)
	for n := len(times) - 1; n > 0; n-- {
		if times[n].Sub(times[n-1]) > gap {
			return times[n:]
		}
	}
	return times
}

// leastTold is how many nodes may be down before it is waited for others: what a percentage of limits.maxUnhealthy never goes below.
const leastTold = 3
