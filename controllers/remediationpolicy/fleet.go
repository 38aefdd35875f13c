// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// fleet is what is known in memory of the instances of one policy at one generation.
type fleet struct {
	uid        types.UID
	generation int64
	location   runcommand.Location

	// states holds every instance that the policy is known to match.
	states map[string]decide.State
	// whole is the round over all instances that is under way, and confirming those over single ones.
	whole      *round
	confirming []*round
	// watches are the rounds that stay on their nodes, until watchEnd; busyUntil remembers the nodes that another policy watches.
	watches   []*round
	watchEnd  time.Time
	busyUntil map[string]time.Time
	// unreached counts the watches in a row that did not reach a node.
	unreached map[string]int
	// intervalsUntil is until when no node is watched, because watches do not reach the nodes.
	intervalsUntil time.Time
	// confirmed remembers, by instance, the failed probe that a confirmation was begun for.
	confirmed map[string]time.Time
	// newest remembers, by instance, the newest attempt, and recalled its uid, once its outcome was taken over into the state.
	newest   map[string]decide.Attempt
	recalled map[string]string
	// spells are the last times that instances were healthy before this fleet was first seen, as its predecessor knew them, and spell
	// that of the others, as the status told it of all.
	spells map[string]decide.Spell
	spell  decide.Spell
	// changes are changes of health that were not told yet.
	changes []change
	// inventoried is set once it is known which instances there are.
	inventoried bool
	// inventory is which nodes AWS has told of, and misfit that the last round found it wanting.
	inventory *inventory
	misfit    bool
	// byIDUntil is until when nodes are probed by their ids, because one command to their tags did not do.
	byIDUntil time.Time
	// expected is how long the nodes will probably take to answer a whole round.
	expected time.Duration
	// beginTime is when this fleet was first seen, startTime when the last whole round began, judgeTime when the last one
	// was judged; zero before the first.
	beginTime, startTime, judgeTime time.Time
	// passTime is when the last pass over the policy began, and paused that it found the policy paused.
	passTime time.Time
	paused   bool
	// due is when the next whole round is, or the one under way was, in nanoseconds since 1970; 0 for none. late is how late the last
	// one was. Metrics read them at any time.
	due, late atomic.Int64
	// intervals are the times between the begins of the last three whole rounds; zero before these.
	intervals [2]time.Duration
	// problem is what AWS had against the last whole round.
	problem *problem
	// openProblem is why the API server took no Remediation the last time that there was one to open.
	openProblem error
	// refused is the name of that Remediation.
	refused string
}

// clockSetBack is by how much the clock has to be set back for what was known before to be dropped: no more than a period of probes
// is lost otherwise.
const clockSetBack = 10 * time.Second

// ahead reports whether the clock was set back. What was seen before it was would be newer than all that is seen now.
func (f *fleet) ahead(now time.Time) bool { return now.Add(clockSetBack).Before(f.passTime) }

// fleets holds the fleet of each policy. A policy is reconciled by one worker at a time, so that only the map is shared.
type fleets struct {
	mu       sync.Mutex
	byPolicy map[types.NamespacedName]*fleet
}

// of returns the fleet of a policy, a new one when the policy is new or its spec has changed. The one before, whose rounds
// are void then, is returned with it.
func (f *fleets) of(policy *v1alpha1.RemediationPolicy, now time.Time) (current, replaced *fleet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.byPolicy[client.ObjectKeyFromObject(policy)]
	if before != nil && before.uid == policy.UID && before.generation == policy.Generation && !before.ahead(now) {
		before.passTime = now
		return before, nil
	}
	return f.begin(policy, now), before
}

// renew returns a new fleet for a policy, as if the controller had been restarted, and the one before, whose rounds are void.
func (f *fleets) renew(policy *v1alpha1.RemediationPolicy, now time.Time) (current, replaced *fleet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	replaced = f.byPolicy[client.ObjectKeyFromObject(policy)]
	return f.begin(policy, now), replaced
}

// begin puts a new fleet in the place of the one before. The lock must be held.
func (f *fleets) begin(policy *v1alpha1.RemediationPolicy, now time.Time) *fleet {
	key := client.ObjectKeyFromObject(policy)
	current := &fleet{
		uid: policy.UID, generation: policy.Generation, beginTime: now, passTime: now,
		states: map[string]decide.State{}, confirmed: map[string]time.Time{},
		newest: map[string]decide.Attempt{}, recalled: map[string]string{}, busyUntil: map[string]time.Time{}, unreached: map[string]int{},
		spell: allHealthy(policy, now),
	}
	if before := f.byPolicy[key]; before != nil && before.uid == policy.UID && !before.ahead(now) {
		current.spells = before.lastHealthy()
	}
	status := &policy.Status
	if status.ObservedGeneration == policy.Generation && status.LastProbeTime != nil && !status.LastProbeTime.After(now) {
		// The controller was restarted: that is no change of the policy, and what was judged before still holds.
		current.judgeTime = status.LastProbeTime.Time
	}
	if f.byPolicy == nil {
		f.byPolicy = map[types.NamespacedName]*fleet{}
	}
	f.byPolicy[key] = current
	return current
}

func (f *fleets) remove(key types.NamespacedName) *fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	removed := f.byPolicy[key]
	delete(f.byPolicy, key)
	return removed
}

// lateness is how late the policies are with their rounds: with the one that is due, or as they were with the last one.
func (f *fleets) lateness(now time.Time) map[types.NamespacedName]time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	lateness := make(map[types.NamespacedName]time.Duration, len(f.byPolicy))
	for key, fleet := range f.byPolicy {
		late := time.Duration(fleet.late.Load())
		if due := fleet.due.Load(); due != 0 {
			late = max(late, now.Sub(time.Unix(0, due)))
		}
		lateness[key] = late
	}
	return lateness
}

// rounds are all rounds under way.
func (f *fleet) rounds() []*round {
	rounds := slices.Concat(f.confirming, f.watches)
	if f.whole != nil {
		rounds = append(rounds, f.whole)
	}
	return rounds
}

// setMembers takes over which instances there are. The state of one that is there already goes on.
func (f *fleet) setMembers(ids []string, now time.Time) {
	f.inventoried = true
	states := make(map[string]decide.State, len(ids))
	for _, id := range ids {
		state, known := f.states[id]
		if !known {
			state = decide.Unprobed(now)
			if spell, told := f.spells[id]; told {
				state.Spell = spell
			} else {
				state.Spell = f.spell
			}
		}
		states[id] = state
	}
	f.states = states
	gone := func(id string) bool { _, known := states[id]; return !known }
	maps.DeleteFunc(f.confirmed, func(id string, _ time.Time) bool { return gone(id) })
	maps.DeleteFunc(f.busyUntil, func(id string, _ time.Time) bool { return gone(id) })
	maps.DeleteFunc(f.unreached, func(id string, _ int) bool { return gone(id) })
	maps.DeleteFunc(f.newest, func(id string, _ decide.Attempt) bool { return gone(id) })
	maps.DeleteFunc(f.recalled, func(id, _ string) bool { return gone(id) })
}

// lastHealthy are the last times that the instances were healthy, as far as that was seen.
func (f *fleet) lastHealthy() map[string]decide.Spell {
	if !f.inventoried {
		return f.spells
	}
	spells := make(map[string]decide.Spell, len(f.states))
	for id, state := range f.states {
		spells[id] = state.LastHealthy(state.Last.ReadTime)
	}
	return spells
}

// allHealthy is the time in which, by its status, all instances of a policy were healthy last, if they still were. It ends an
// incident also for a controller that has just been started. One that is still to come was recorded before the clock was set back.
func allHealthy(policy *v1alpha1.RemediationPolicy, now time.Time) decide.Spell {
	healthy, last := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionHealthy), policy.Status.LastProbeTime
	if healthy == nil || healthy.Status != metav1.ConditionTrue || last == nil || last.After(now) {
		return decide.Spell{}
	}
	return decide.Spell{Start: healthy.LastTransitionTime.Time, End: last.Time}
}
