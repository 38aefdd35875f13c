// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"slices"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// recount is how far a round is with taking the inventory anew because it does not fit the counts of a command to tags; zero when it
// was not needed so far.
type recount int

const (
	_ recount = iota
	// recountWanted means that the round cannot go on without it, and recountQueued that the Prober was told so.
	recountWanted
	recountQueued
	// recountDone means that it was taken: what does not fit now does not become clear in this round.
	recountDone
)

// fewUnreached is how many nodes may not answer in time before a command to tags is void; of a larger fleet it is a tenth.
const fewUnreached = 10

// fits reports whether the end of a command can be judged. The nodes that a command to tags has addressed have to be those that we
// believe it has, with or without those that are offline. When they are not, the inventory is taken anew, once; when they still
// are not, the command is void, and so it is when counts and lists do not agree, or too many nodes were not reached.
func (r *round) fits(send *probeSend, o runcommand.Observation) bool {
	if !send.byTags || o.Err != nil {
		return true
	}
	targets, all := o.Command.Targets, len(send.instanceIDs)
	known := (targets == all || targets == all-len(send.absent)) && send.knows(o)
	if o.OthersSucceeded && !known && r.recount != recountDone {
		r.recount = max(r.recount, recountWanted)
		return false
	}
	send.void = !known || !o.OthersSucceeded || send.unreached(o) > max(fewUnreached, all/10)
	return true
}

// knows reports whether all that the command tells of are nodes that it is believed to address.
func (p *probeSend) knows(o runcommand.Observation) bool {
	listed := len(o.Invocations)
	for _, id := range p.instanceIDs {
		if _, ok := o.Invocations[id]; ok {
			listed--
		}
	}
	return listed == 0
}

// wantsRecount reports whether the Prober has to be told to take the inventory anew.
func (r *round) wantsRecount() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recount == recountWanted
}

// recountQueued notes that the Prober was told.
func (r *round) recountQueued() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recount = recountQueued
}

// recountNow takes the inventory anew.
func (p *Prober) recountNow(ctx context.Context, region *runcommand.Region, r *round) {
	taken, err := p.takeInventory(ctx, region, r.targets)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recount = recountDone
	if err != nil {
		r.problem = problemOf(err)
		return
	}
	r.inventory = taken
	r.enlist(nil, p.now())
	for _, send := range r.sends {
		send.instanceIDs, send.absent = r.members, r.absent()
	}
}

// void reports whether one command for all tagged nodes did not do, so that the round has to be made again.
func (r *round) void() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.sends, func(send *probeSend) bool { return send.void })
}
