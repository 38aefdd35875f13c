// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
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

// begin finds out which nodes there are and sends them the probe.
func (p *Prober) begin(ctx context.Context, r *round) {
	if r.isAbandoned() {
		return
	}
	ctx = runcommand.WithPriority(ctx, r.priority())
	region := p.regions.Get(r.location)
	var ids []string
	excluded, err := excludedIDs(ctx, region, r.targets.Exclude)
	switch {
	case err != nil:
	case r.instanceIDs == nil:
		ids, err = p.takeInventory(ctx, region, r, excluded)
	default:
		ids = slices.DeleteFunc(slices.Clone(r.instanceIDs), func(id string) bool { return excluded[id] })
	}
	if err != nil {
		r.fail(err, "", p.now())
	} else {
		p.sendAll(ctx, region, r, ids)
	}
	r.mu.Lock()
	r.begun = true
	r.mu.Unlock()
	p.notify(r.policy)
}

// takeInventory fills in the members of a whole round, and returns those that can be sent to.
func (p *Prober) takeInventory(
	ctx context.Context, region *runcommand.Region, r *round, excluded map[string]bool,
) ([]string, error) {
	nodes, err := region.Nodes(ctx, nodeFilter(r.targets.InstanceIDs, r.targets.Tags))
	if err != nil {
		return nil, err
	}
	found := make(map[string]runcommand.Node, len(nodes))
	ids := make([]string, 0, max(len(nodes), len(r.targets.InstanceIDs)))
	for _, node := range nodes {
		found[node.InstanceID] = node
		ids = append(ids, node.InstanceID)
	}
	for _, id := range r.targets.InstanceIDs {
		if _, managed := found[string(id)]; !managed {
			ids = append(ids, string(id))
		}
	}
	slices.Sort(ids)
	r.mu.Lock()
	defer r.mu.Unlock()
	var online []string
	for _, id := range slices.Compact(ids) {
		if excluded[id] {
			continue
		}
		r.members = append(r.members, id)
		if observation := offline(found, id); observation != nil {
			r.addKnown(id, *observation, p.now())
		} else {
			online = append(online, id)
		}
	}
	return online, nil
}

// offline tells what is clear about a node without asking it.
func offline(found map[string]runcommand.Node, id string) *decide.Observation {
	node, managed := found[id]
	var o decide.Observation
	switch {
	case !managed:
		o = unknown(decide.ReasonNodeNotManaged, "Systems Manager does not know the node: it is stopped or terminated, its agent never "+
			"registered (instance profile with AmazonSSMManagedInstanceCore?), or it is in another region or account")
	case node.Platform != "" && node.Platform != "Linux":
		o = unknown(process.ReasonNotLinux, "the node runs "+node.Platform)
	case !node.Online:
		o = unknown(decide.ReasonNodeOffline, fmt.Sprintf("the agent has not been heard of lately (%s)", node.PingStatus))
	default:
		return nil
	}
	return &o
}

// excludedIDs resolves spec.targets.exclude. When that fails, nothing may be run anywhere.
func excludedIDs(ctx context.Context, region *runcommand.Region, exclude *v1alpha1.Exclude) (map[string]bool, error) {
	excluded := map[string]bool{}
	if exclude == nil {
		return excluded, nil
	}
	for _, id := range exclude.InstanceIDs {
		excluded[string(id)] = true
	}
	if len(exclude.Tags) == 0 {
		return excluded, nil
	}
	nodes, err := region.Nodes(ctx, nodeFilter(nil, exclude.Tags))
	for _, node := range nodes {
		excluded[node.InstanceID] = true
	}
	return excluded, err
}

func nodeFilter(ids []v1alpha1.InstanceID, tags []v1alpha1.Tag) runcommand.NodeFilter {
	filter := runcommand.NodeFilter{}
	for _, id := range ids {
		filter.InstanceIDs = append(filter.InstanceIDs, string(id))
	}
	for _, tag := range tags {
		filter.Tags = append(filter.Tags, runcommand.Tag{Key: tag.Key, Values: tag.Values})
	}
	return filter
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
	for chunk := range slices.Chunk(ids, runcommand.MaxInstanceIDs) {
		command := runcommand.ShellScript(script, process.ProbeTimeout(r.check))
		command.Comment = r.binding
		command.DeliveryTimeout = runcommand.MinDeliveryTimeout
		command.InstanceIDs = chunk
		p.send(ctx, region, r, command)
	}
}

// send sends the probe. One id that AWS does not accept fails the whole call: those it names are taken out and the others
// sent again, which for a probe does no harm.
func (p *Prober) send(ctx context.Context, region *runcommand.Region, r *round, command runcommand.Send) {
	for len(command.InstanceIDs) > 0 {
		// The nodes' time to answer runs from the send, and not from when it began to wait for its turn.
		call, err := region.Budget.Reserve(ctx)
		if r.isAbandoned() {
			return
		}
		sendTime := p.now()
		var sent runcommand.Command
		if err == nil {
			sent, err = region.Send(call.In(ctx), command)
		}
		if err == nil {
			p.track(region, r, sent, command.InstanceIDs, sendTime)
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

func (p *Prober) track(region *runcommand.Region, r *round, sent runcommand.Command, ids []string, sendTime time.Time) {
	deadline := sendTime.Add(r.check.Timeout + answerGrace)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.abandoned {
		return
	}
	r.sends = append(r.sends, &probeSend{
		commandID: sent.ID, instanceIDs: ids, sendTime: sendTime, deadline: deadline, answered: map[string]bool{},
	})
	region.Track(runcommand.Want{Command: sent, Deadline: deadline, Notify: func() { p.notify(r.policy) }})
}

func (r *round) isAbandoned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.abandoned
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

func (r *round) addKnown(id string, o decide.Observation, now time.Time) {
	o.ProbeTime, o.ReadTime = r.startTime, now
	r.known = append(r.known, finding{id, o})
}
