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
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// Prober begins rounds in the background: it asks for the inventory and sends the probes. It is a Runnable of the manager.
type Prober struct {
	regions *runcommand.Regions
	clock   clock.PassiveClock
	// notify tells that a policy has news.
	notify func(types.NamespacedName)

	mu     sync.Mutex
	lanes  []*lane
	opened chan *lane
}

// NewProber returns a Prober that tells of news by notify.
func NewProber(regions *runcommand.Regions, clk clock.PassiveClock, notify func(types.NamespacedName)) *Prober {
	return &Prober{regions: regions, clock: clk, notify: notify, opened: make(chan *lane, 64)}
}

// now is the time in the precision of the API, in which times of probes are compared with recorded ones.
func (p *Prober) now() time.Time { return p.clock.Now().Truncate(time.Microsecond) }

// Start works until the context ends.
func (p *Prober) Start(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-p.opened:
			for range laneWorkers {
				workers.Go(func() { p.work(ctx, l) })
			}
		}
	}
}

// Begin queues a round, and reports whether there was room for it.
func (p *Prober) Begin(r *round) bool {
	select {
	case p.laneOf(r).queue <- r:
		return true
	default:
		return false
	}
}

// begin finds out which nodes there are and sends them the probe. A round that was begun already wants the inventory taken anew.
func (p *Prober) begin(ctx context.Context, r *round) {
	region := p.regions.Get(r.location)
	if r.isAbandoned() {
		p.end(ctx, region, r)
		return
	}
	ctx = runcommand.WithPriority(ctx, r.priority())
	if begun, _, _ := r.state(); begun {
		p.recountNow(ctx, region, r)
	} else {
		if ids, err := p.enlist(ctx, region, r); err != nil {
			r.fail(err, "", p.now())
		} else {
			p.sendAll(ctx, region, r, ids)
		}
		r.noteBegun()
	}
	if r.isAbandoned() {
		p.end(ctx, region, r)
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
	script, timeout, err := r.script()
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.problem = &problem{v1alpha1.ReasonInvalidRequest, err.Error(), true}
		for _, id := range ids {
			r.addKnown(id, unknown(r.problem.reason, r.problem.message), p.now())
		}
		return
	}
	command := runcommand.ShellScript(script, timeout)
	command.Comment = r.binding
	command.DeliveryTimeout = runcommand.MinDeliveryTimeout
	if r.suitsTags(ids) && p.sendByTags(ctx, region, r, command, ids) {
		return
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return r.recovering[id] })
	for _, group := range groups(ids, func(id string) bool { return r.silent[id] }) {
		command.InstanceIDs = group
		p.send(ctx, region, r, command)
	}
}

// script is what is sent, and how long it may run.
func (r *round) script() (script string, timeout time.Duration, err error) {
	if r.watch.Duration > 0 {
		script, err = process.WatchScript(r.check, r.watch, r.binding)
		return script, process.WatchTimeout(r.check, r.watch), err
	}
	script, err = process.ProbeScript(r.check, r.binding)
	return script, process.ProbeTimeout(r.check), err
}

// suitsTags reports whether one command to all tagged nodes does for a round over so many: nothing may be run on an excluded node,
// or on one that does not run Linux.
func (r *round) suitsTags(online []string) bool {
	return r.instanceIDs == nil && !r.byID && len(r.watched) == 0 && len(online) > runcommand.MaxInstanceIDs && len(r.targets.Tags) > 0 &&
		r.targets.Exclude == nil && r.inventory.linux()
}

// sendByTags sends the probe to all tagged nodes in one call. It reports false when AWS refuses that for a reason which may not hold
// for their ids.
func (p *Prober) sendByTags(
	ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send, online []string,
) bool {
	command.Tags = tagsOf(r.targets.Tags)
	sent, sendTime, err := p.sendInTurn(ctx, region, r, command)
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

// sendTries is how often a probe is sent that AWS refuses because there are too many calls. One that was given up at once would
// queue again behind those of all other policies, and some would never be probed.
const sendTries = 3

// sendInTurn sends when the budget allows the call.
func (p *Prober) sendInTurn(
	ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send,
) (sent runcommand.Command, sendTime time.Time, err error) {
	for range sendTries {
		sent, sendTime, err = p.sendOnce(ctx, region, r, command)
		if err == nil || runcommand.Classify(err) != runcommand.Throttled {
			break
		}
	}
	return sent, sendTime, err
}

// sendOnce waits for its turn and sends. The nodes' time to answer runs from the send, and not from when it began to wait. A round
// that nobody waits for any more by then is not sent, which is an error that nobody looks at.
func (p *Prober) sendOnce(
	ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send,
) (sent runcommand.Command, sendTime time.Time, err error) {
	call, err := region.Budget.Reserve(ctx)
	if err == nil && r.isAbandoned() {
		err = context.Canceled
	}
	if err != nil {
		return sent, sendTime, err
	}
	sendTime = p.now()
	sent, err = region.Send(call.In(ctx), command)
	return sent, sendTime, err
}

// send sends the probe. One id that AWS does not accept fails the whole call: those it names are taken out and the others
// sent again, which for a probe does no harm.
func (p *Prober) send(ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send) {
	for len(command.InstanceIDs) > 0 {
		sent, sendTime, err := p.sendInTurn(ctx, region, r, command)
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
	send.commandID, send.answered = sent.ID, map[string]bool{}
	send.deadline = send.sendTime.Add(r.check.Timeout + answerGrace)
	send.open = len(send.instanceIDs) - len(send.absent)
	r.sends = append(r.sends, send)
	if r.abandoned {
		return
	}
	want := runcommand.Want{
		Command: sent, Exceptions: true, Expected: r.expected, Offline: len(send.absent), Notify: func() { p.notify(r.policy) },
	}
	if r.watch.Duration > 0 {
		send.deadline = send.sendTime.Add(process.WatchTimeout(r.check, r.watch) + answerGrace)
		send.watch = true
		send.lasting = r.targets.Exclude == nil || len(r.targets.Exclude.Tags) == 0
		want.Interval = watchPoll
	}
	want.Deadline = send.deadline
	region.Track(want)
}

// end ends what stays on the nodes of a round that nobody waits for any more. That is best effort: a watch ends by itself.
func (p *Prober) end(ctx context.Context, region *runcommand.Region, r *round) {
	r.mu.Lock()
	sends := slices.Clone(r.sends)
	r.sends = nil
	r.mu.Unlock()
	for _, send := range sends {
		if r.watch.Duration == 0 || send.done {
			continue
		}
		if err := region.Cancel(ctx, send.commandID); err != nil {
			log.FromContext(ctx).Info("A watch goes on until its time is up", "policy", r.policy, "error", runcommand.Words(err))
		}
	}
}
