// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// probeSend is one command of a round.
type probeSend struct {
	commandID string
	// instanceIDs are the nodes that it addresses. Of a command to tags they are what the inventory says.
	instanceIDs []string
	byTags      bool
	// absent are those among them that the inventory calls offline: they answer when they are back, and else stay what they are.
	absent map[string]bool
	// watch means that the probe stays on the nodes, and lasting that what it finds in the end is newer than its send.
	watch, lasting bool
	// unwatched are those that a watch was not delivered to, which is not told yet; inTurn means that it waits for some nodes to be
	// done before it goes on to others.
	unwatched []string
	inTurn    bool
	sendTime  time.Time
	deadline  time.Time
	answered  map[string]bool
	done      bool
	// void means that a command to tags has not reached its nodes in time, or not those that we know: it says nothing about the ones
	// whose answer is not listed.
	void bool
	// open is how many nodes may still answer.
	open int
	// settled is how long it took until nothing more was heard.
	settled time.Duration
}

// findings are about the instances that have answered since the last time, and at the end about all others.
func (p *probeSend) findings(now time.Time, binding string, observation runcommand.Observation) []finding {
	if p.watch {
		p.noteUnwatched(observation)
	}
	proven := p.proves(observation)
	var findings []finding
	for _, id := range p.instanceIDs {
		invocation, listed := observation.Invocations[id]
		if p.answered[id] || (!p.done && (!listed || !invocation.Status.Final())) || p.saysNothing(id, observation) {
			continue
		}
		p.answered[id] = true
		o := succeeded
		if listed || !proven {
			o = judge(invocation, listed, binding, observation)
		}
		o.ProbeTime, o.ReadTime, o.CommandID = p.probeTime(id, observation), now, p.commandID
		findings = append(findings, finding{id, o})
	}
	return findings
}

// noteUnwatched takes the nodes that a watch was not delivered to in time out of those that are waited for.
func (p *probeSend) noteUnwatched(observation runcommand.Observation) {
	for _, id := range p.instanceIDs {
		if !p.answered[id] && observation.Invocations[id].Status == runcommand.StatusDeliveryTimedOut {
			p.unwatched, p.answered[id] = append(p.unwatched, id), true
		}
	}
	many := len(p.instanceIDs) >= leastInTurn
	p.inTurn = p.inTurn || many && 2*len(p.unwatched) > len(p.instanceIDs) && begun(observation)
}

// leastInTurn is of how many nodes a command has to be to tell that it goes to them in turn: of few ones most may be off.
const leastInTurn = 10

// begun reports whether a command has reached any node.
func begun(observation runcommand.Observation) bool {
	for _, invocation := range observation.Invocations {
		if invocation.Status == runcommand.StatusInProgress || invocation.Status.Ran() {
			return true
		}
	}
	return false
}

// probeTime is a time before which a node has not looked.
func (p *probeSend) probeTime(id string, observation runcommand.Observation) time.Time {
	prior, ended := observation.PriorTimes[id]
	if !ended {
		prior = observation.PriorTime
	}
	if p.lasting && prior.After(p.sendTime) {
		return prior.Truncate(time.Microsecond)
	}
	return p.sendTime
}

// proves reports whether the counts prove that the probe has succeeded on every node that is not listed.
func (p *probeSend) proves(observation runcommand.Observation) bool {
	return p.done && !p.void && observation.OthersSucceeded && (p.byTags || observation.Command.Targets == len(p.instanceIDs))
}

// saysNothing reports whether the end of the command tells nothing new of a node: of one that is known to be offline, when it has
// not answered; and of any that is not listed, when the command is void.
func (p *probeSend) saysNothing(id string, observation runcommand.Observation) bool {
	invocation, listed := observation.Invocations[id]
	switch {
	case listed:
		return (p.absent[id] || p.void) && !invocation.Status.Ran()
	case p.absent[id]:
		return !p.proves(observation) || observation.Command.Targets < len(p.instanceIDs)
	default:
		return p.void
	}
}

// stillOpen is how many nodes may still answer, or have answered and were not listed yet. Of a command to tags nobody knows which.
func (p *probeSend) stillOpen(o runcommand.Observation) int {
	if p.done {
		return 0
	}
	if !p.byTags || o.Command.ID == "" {
		return len(p.instanceIDs) - len(p.absent) - len(p.answered)
	}
	listed := 0
	for _, invocation := range o.Invocations {
		if invocation.Status.Ran() {
			listed++
		}
	}
	return max(0, o.Command.Targets-o.Command.Completed-len(p.absent)) + max(0, o.Command.Errors-listed)
}

// unreached is how many nodes did not answer in time although the inventory calls them online.
func (p *probeSend) unreached(observation runcommand.Observation) int {
	count := 0
	for id, invocation := range observation.Invocations {
		if !invocation.Status.Final() && !p.absent[id] {
			count++
		}
	}
	return count
}
