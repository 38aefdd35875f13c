// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
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

	mu sync.Mutex
	// abandoned is set when nobody waits for the round any more.
	abandoned bool
	// begun is set once the inventory was read and the commands were sent, as far as that was possible.
	begun bool
	// members are the instances that the round is about, without the excluded ones.
	members []string
	// known holds what is clear without a command, for instance that a node is offline, and was not collected yet.
	known []finding
	sends []*probeSend
	// problem is the first error of AWS, if there was one.
	problem *problem
}

// probeSend is one command of a round.
type probeSend struct {
	commandID   string
	instanceIDs []string
	sendTime    time.Time
	deadline    time.Time
	answered    map[string]bool
	done        bool
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
	send.done = observation.Done || now.After(send.deadline.Add(readGrace))
	if send.done && observation.Err != nil && r.problem == nil {
		r.problem = problemOf(observation.Err)
	}
	if send.done {
		region.Forget(send.commandID)
	}
	findings := send.findings(now, r.binding, observation)
	for n := range findings {
		findings[n].Source = r.source
	}
	return findings
}

// pending are the instances that a round, if there is one, has sent to and that have not answered yet.
func (r *round) pending() map[string]bool {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pending := map[string]bool{}
	for _, send := range r.sends {
		for _, id := range send.instanceIDs {
			pending[id] = !send.done && !send.answered[id]
		}
	}
	return pending
}

// findings are about the instances that have answered since the last time, and at the end about all others.
func (p *probeSend) findings(now time.Time, binding string, observation runcommand.Observation) []finding {
	var findings []finding
	for _, id := range p.instanceIDs {
		invocation, listed := observation.Invocations[id]
		if p.answered[id] || (!p.done && (!listed || !invocation.Status.Final())) {
			continue
		}
		p.answered[id] = true
		o := judge(invocation, listed, binding, observation)
		o.ProbeTime, o.ReadTime, o.CommandID = p.sendTime, now, p.commandID
		findings = append(findings, finding{id, o})
	}
	return findings
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
