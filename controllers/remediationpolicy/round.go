// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// answerGrace is what a node may take to answer beside the time of the check itself: for the way to the node and back, and
// for reading.
const answerGrace = 10 * time.Second

// readGrace is how long after the deadline of a round its last read may take before it is judged without.
const readGrace = 20 * time.Second

// round is one probe of all instances of a policy, or of those that have to be probed again. The Prober fills it in the
// background; Reconcile takes out what has come back.
type round struct {
	policy   types.NamespacedName
	location runcommand.Location
	// binding is in the comment of the commands and in the verdicts.
	binding string
	check   process.Check
	// targets is the policy's; instanceIDs are set for a round that confirms, and is about these only.
	targets     v1alpha1.Targets
	instanceIDs []string
	startTime   time.Time
	// source is what it was begun for.
	source v1alpha1.DetectionSource
	// watch, when it has a duration, has the probe stay on the nodes.
	watch process.Watch
	// watched are the nodes that are being watched, which a whole round does not send to.
	watched map[string]bool
	// recovering are the nodes that are being recovered, which probes them too. Nothing is sent to them by their ids.
	recovering map[string]bool
	// silent are the nodes that did not answer the last time.
	silent map[string]bool
	// byID has it sent to each node by its id, where one command for all tagged ones does not do.
	byID bool
	// expected is how long the nodes will probably take to answer.
	expected time.Duration

	mu sync.Mutex
	// abandoned is set when nobody waits for the round any more.
	abandoned bool
	// begun is set once the inventory was read and the commands were sent, as far as that was possible.
	begun bool
	// inventory is which nodes there are: from an earlier round, until it is taken anew in this one.
	inventory *inventory
	retake    bool
	// members are the instances that the round is about, without the excluded ones.
	members []string
	// known holds what is clear without a command, for instance that a node is offline, and was not collected yet.
	known []finding
	sends []*probeSend
	// unsent are those of instanceIDs that nothing was sent to, and of which that was not told yet.
	unsent []string
	// recount says how far it is with an inventory that does not fit the counts.
	recount recount
	// problem is the first error of AWS, if there was one.
	problem *problem
}

// finding is what a round found out about one instance.
type finding struct {
	instanceID string
	decide.Observation
}

// newBinding names a round in comments and verdicts, unique to policy, generation and time.
func newBinding(policy *v1alpha1.RemediationPolicy, now time.Time) string {
	return fmt.Sprintf("probe/%s/%d/%d", policy.UID, policy.Generation, now.UnixMicro())
}

// state is what the Prober has found out: whether it has begun the round, who belongs to it, and what AWS had against it.
func (r *round) state() (begun bool, members []string, trouble *problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun, r.members, r.problem
}

// collect takes out what has come back since the last time, and reports whether the round is over.
func (r *round) collect(now time.Time, region *runcommand.Region) (findings []finding, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return nil, false
	}
	findings, r.known = r.known, nil
	over = true
	for _, send := range r.sends {
		findings = append(findings, r.collectSend(now, region, send)...)
		over = over && send.done
	}
	return findings, over
}

func (r *round) collectSend(now time.Time, region *runcommand.Region, send *probeSend) []finding {
	if send.done {
		return nil
	}
	observation, _ := region.Observe(send.commandID)
	over := observation.Done || now.After(send.deadline.Add(readGrace))
	if over && !r.fits(send, observation) {
		return nil
	}
	send.done = over
	if send.done {
		send.settled = observation.Settled
		region.Forget(send.commandID)
	}
	if send.done && observation.Err != nil && r.problem == nil {
		r.problem = problemOf(observation.Err)
	}
	findings := send.findings(now, r.binding, observation)
	send.open = send.stillOpen(observation)
	for n := range findings {
		findings[n].Source = r.source
	}
	return findings
}

// pending are instances that a round, if there is one, has sent to and that have not answered yet. Where counts tell only how many
// these are, it is so many of those that it may be, down ones last: an answer of these changes nothing.
func (r *round) pending(down func(id string) bool) map[string]bool {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pending := map[string]bool{}
	for _, send := range r.sends {
		open := send.open
		for _, id := range send.instanceIDs {
			if open > 0 && !send.answered[id] && !send.absent[id] && !down(id) {
				pending[id] = true
				open--
			}
		}
	}
	return pending
}

// enlist makes members of the nodes of the inventory that are not excluded, and tells what is clear of them without asking. It
// returns those that have to be asked.
func (r *round) enlist(excluded map[string]bool, now time.Time) (online []string) {
	r.members = nil
	for _, id := range r.inventory.ids {
		if excluded[id] {
			continue
		}
		r.members = append(r.members, id)
		switch o := r.inventory.unreachable(id); {
		case o != nil:
			r.addKnown(id, *o, now)
		case !r.watched[id]:
			online = append(online, id)
		}
	}
	return online
}

// absent are the members that the inventory calls offline.
func (r *round) absent() map[string]bool {
	absent := map[string]bool{}
	for _, id := range r.members {
		if r.inventory.unreachable(id) != nil {
			absent[id] = true
		}
	}
	return absent
}

// addKnown adds what is clear of a node without an answer of it.
func (r *round) addKnown(id string, o decide.Observation, now time.Time) {
	o.ProbeTime, o.ReadTime = r.startTime, now
	r.known = append(r.known, finding{id, o})
}

// fail records that AWS refused a call: for one instance, or for the whole round when id is empty.
func (r *round) fail(err error, id string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := problemOf(err)
	if id == "" {
		r.problem = p
		return
	}
	if runcommand.Classify(err) == runcommand.InvalidInstance {
		p = &problem{reason: decide.ReasonNodeNotManaged, message: "AWS does not accept the node: " + runcommand.Words(err)}
	} else if r.problem == nil {
		r.problem = p
	}
	r.addKnown(id, unknown(p.reason, p.message), now)
}

// noteBegun notes that all was sent that could be.
func (r *round) noteBegun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = true
	sent := map[string]bool{}
	for _, send := range r.sends {
		for _, id := range send.instanceIDs {
			sent[id] = true
		}
	}
	r.unsent = slices.DeleteFunc(slices.Clone(r.instanceIDs), func(id string) bool { return sent[id] })
}

// unanswered are the nodes that the round is about and that have not answered yet.
func (r *round) unanswered() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return r.instanceIDs
	}
	var unanswered []string
	for _, send := range r.sends {
		for _, id := range send.instanceIDs {
			if !send.done && !send.answered[id] {
				unanswered = append(unanswered, id)
			}
		}
	}
	return unanswered
}

// abandon ends the round: nothing more is sent or read.
func (r *round) abandon(region *runcommand.Region) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandoned = true
	for _, send := range r.sends {
		region.Forget(send.commandID)
	}
}

func (r *round) isAbandoned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.abandoned
}

// settled is how long the nodes took to answer.
func (r *round) settled() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var settled time.Duration
	for _, send := range r.sends {
		settled = max(settled, send.settled)
	}
	return settled
}

// lookAgain is when the round has to be looked at even if nothing is heard of it.
func (r *round) lookAgain(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := now.Add(readGrace)
	for _, send := range r.sends {
		if !send.done && send.deadline.After(now) && send.deadline.Before(again) {
			again = send.deadline
		}
	}
	return again
}
