// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// proberWorkers is how many rounds are begun at the same time.
	proberWorkers = 16
	// proberQueue is how many may wait for that; a policy whose round does not fit in tries again later.
	proberQueue = 4096
)

// Prober begins rounds in the background: it asks for the inventory and sends the probes. It is a Runnable of the manager.
type Prober struct {
	regions *runcommand.Regions
	clock   clock.PassiveClock
	// notify tells that a policy has news.
	notify func(types.NamespacedName)
	queue  chan *round
}

// NewProber returns a Prober that tells of news by notify.
func NewProber(regions *runcommand.Regions, clk clock.PassiveClock, notify func(types.NamespacedName)) *Prober {
	return &Prober{regions: regions, clock: clk, notify: notify, queue: make(chan *round, proberQueue)}
}

// now is the time in the precision of the API, in which times of probes are compared with recorded ones.
func (p *Prober) now() time.Time { return p.clock.Now().Truncate(time.Microsecond) }

// Start works until the context ends.
func (p *Prober) Start(ctx context.Context) error {
	var workers sync.WaitGroup
	for range proberWorkers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case r := <-p.queue:
					p.begin(ctx, r)
				}
			}
		})
	}
	workers.Wait()
	return nil
}

// Begin queues a round, and reports whether there was room for it.
func (p *Prober) Begin(r *round) bool {
	select {
	case p.queue <- r:
		return true
	default:
		return false
	}
}

// begin finds out which nodes there are and sends them the probe. A round that was begun already wants the inventory taken anew.
func (p *Prober) begin(ctx context.Context, r *round) {
	if r.isAbandoned() {
		return
	}
	region := p.regions.Get(r.location)
	if begun, _, _ := r.state(); begun {
		p.recountNow(ctx, region, r)
	} else {
		if ids, err := p.enlist(ctx, region, r); err != nil {
			r.fail(err, "", p.now())
		} else {
			p.sendAll(ctx, region, r, ids)
		}
		r.mu.Lock()
		r.begun = true
		r.mu.Unlock()
	}
	p.notify(r.policy)
}

// enlist finds out whom a round is about, and returns the nodes that have to be asked.
func (p *Prober) enlist(ctx context.Context, region *runcommand.Region, r *round) ([]string, error) {
	excluded, err := excludedIDs(ctx, region, r.targets.Exclude)
	if err != nil {
		return nil, err
	}
	if r.instanceIDs != nil {
		return slices.DeleteFunc(slices.Clone(r.instanceIDs), func(id string) bool { return excluded[id] }), nil
	}
	taken := r.inventory
	if r.retake || taken == nil {
		taken, err = p.takeInventory(ctx, region, r.targets)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.inventory = taken
	case r.inventory == nil:
		return nil, err
	default:
		// What was known before will do, and what AWS has against the call is told.
		r.problem = problemOf(err)
	}
	return r.enlist(excluded, p.now()), nil
}

func (p *Prober) sendAll(ctx context.Context, region *runcommand.Region, r *round, ids []string) {
	script, err := process.ProbeScript(r.check, r.binding)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.problem = &problem{v1alpha1.ReasonInvalidRequest, err.Error(), true}
		for _, id := range ids {
			r.addKnown(id, unknown(r.problem.reason, r.problem.message), p.now())
		}
		return
	}
	command := runcommand.ShellScript(script, process.ProbeTimeout(r.check))
	command.Comment = r.binding
	command.DeliveryTimeout = runcommand.MinDeliveryTimeout
	if r.suitsTags(ids) && p.sendByTags(ctx, region, r, command, ids) {
		return
	}
	for chunk := range slices.Chunk(ids, runcommand.MaxInstanceIDs) {
		command.InstanceIDs = chunk
		p.send(ctx, region, r, command)
	}
}

// suitsTags reports whether one command to all tagged nodes does for a round over so many: nothing may be run on an excluded node,
// or on one that does not run Linux.
func (r *round) suitsTags(online []string) bool {
	return r.instanceIDs == nil && !r.byID && len(online) > runcommand.MaxInstanceIDs && len(r.targets.Tags) > 0 &&
		r.targets.Exclude == nil && r.inventory.linux()
}

// sendByTags sends the probe to all tagged nodes in one call. It reports false when AWS refuses that for a reason which may not hold
// for their ids.
func (p *Prober) sendByTags(
	ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send, online []string,
) bool {
	command.Tags = tagsOf(r.targets.Tags)
	sendTime := p.now()
	sent, err := region.Send(ctx, command)
	if err != nil {
		switch runcommand.Classify(err) {
		case runcommand.Denied, runcommand.Invalid, runcommand.InvalidInstance, runcommand.NotYet:
			return false
		case runcommand.Throttled, runcommand.Unavailable:
		}
		for _, id := range online {
			r.fail(err, id, p.now())
		}
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.track(region, r, sent, &probeSend{byTags: true, instanceIDs: r.members, absent: r.absent(), sendTime: sendTime})
	return true
}

// send sends the probe. One id that AWS does not accept fails the whole call: those it names are taken out and the others
// sent again, which for a probe does no harm.
func (p *Prober) send(ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send) {
	for len(command.InstanceIDs) > 0 && !r.isAbandoned() {
		sendTime := p.now()
		sent, err := region.Send(ctx, command)
		if err == nil {
			r.mu.Lock()
			p.track(region, r, sent, &probeSend{instanceIDs: command.InstanceIDs, sendTime: sendTime})
			r.mu.Unlock()
			return
		}
		var rest []string
		if runcommand.Classify(err) == runcommand.InvalidInstance {
			named := runcommand.InvalidInstances(err)
			rest = slices.DeleteFunc(slices.Clone(command.InstanceIDs), func(id string) bool { return slices.Contains(named, id) })
		}
		if len(rest) == len(command.InstanceIDs) {
			rest = nil
		}
		for _, id := range command.InstanceIDs {
			if !slices.Contains(rest, id) {
				r.fail(err, id, p.now())
			}
		}
		command.InstanceIDs = rest
	}
}

// track has the command of a round read. The round is locked.
func (p *Prober) track(region *runcommand.Region, r *round, sent runcommand.Command, send *probeSend) {
	if r.abandoned {
		return
	}
	send.commandID, send.answered = sent.ID, map[string]bool{}
	send.deadline = send.sendTime.Add(r.check.Timeout + answerGrace)
	send.open = len(send.instanceIDs) - len(send.absent)
	r.sends = append(r.sends, send)
	region.Track(runcommand.Want{
		Command: sent, Exceptions: true, Expected: r.expected, Deadline: send.deadline, Notify: func() { p.notify(r.policy) },
	})
}
