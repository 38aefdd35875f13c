// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// inventoryInterval is how often at the least it is asked which nodes a policy matches. A node that has just booted is Held for as
	// long as that by default.
	inventoryInterval = 5 * time.Minute
	// inventoryPage is how many nodes a call of the inventory tells.
	inventoryPage = 50
)

// inventory is which nodes a policy matches, as AWS told at a time. It is read in pages, and a large one costs more than the probes
// of a healthy fleet: it is kept from round to round. Counts tell when it does not fit any more.
type inventory struct {
	time time.Time
	// nodes are those that Systems Manager knows, and ids these and the ones that the policy names beside them, in order.
	nodes map[string]runcommand.Node
	ids   []string
}

// takeInventory asks AWS which nodes there are.
func (p *Prober) takeInventory(ctx context.Context, region *runcommand.Region, targets v1alpha1.Targets) (*inventory, error) {
	nodes, err := region.Nodes(ctx, nodeFilter(targets.InstanceIDs, targets.Tags))
	if err != nil {
		return nil, err
	}
	taken := &inventory{time: p.now(), nodes: make(map[string]runcommand.Node, len(nodes))}
	for _, node := range nodes {
		taken.nodes[node.InstanceID] = node
		taken.ids = append(taken.ids, node.InstanceID)
	}
	for _, id := range targets.InstanceIDs {
		taken.ids = append(taken.ids, string(id))
	}
	slices.Sort(taken.ids)
	taken.ids = slices.Compact(taken.ids)
	return taken, nil
}

// stale reports whether the inventory has to be taken anew for a round that begins now. While something is amiss in it, or did not
// fit what the last round found, that is soon; for a large fleet it is never more than one page for each round.
func (i *inventory) stale(now time.Time, period time.Duration, misfit bool) bool {
	if i == nil {
		return true
	}
	pages := (len(i.ids) + inventoryPage - 1) / inventoryPage
	onePageARound := period * time.Duration(pages)
	interval := max(inventoryInterval, 2*onePageARound)
	if misfit || i.amiss() {
		interval = onePageARound
	}
	return now.Sub(i.time) >= interval
}

// amiss reports whether there is nothing to probe, or nodes that cannot be.
func (i *inventory) amiss() bool {
	return len(i.ids) == 0 || slices.ContainsFunc(i.ids, func(id string) bool { return i.unreachable(id) != nil })
}

// linux reports whether all nodes run Linux, as far as AWS says.
func (i *inventory) linux() bool {
	return !slices.ContainsFunc(i.ids, func(id string) bool { return i.nodes[id].Platform != "" && i.nodes[id].Platform != "Linux" })
}

// unreachable tells what is clear about a node without asking it; nil when nothing is.
func (i *inventory) unreachable(id string) *decide.Observation {
	node, managed := i.nodes[id]
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
	filter := runcommand.NodeFilter{Tags: tagsOf(tags)}
	for _, id := range ids {
		filter.InstanceIDs = append(filter.InstanceIDs, string(id))
	}
	return filter
}

func tagsOf(tags []v1alpha1.Tag) []runcommand.Tag {
	var wire []runcommand.Tag
	for _, tag := range tags {
		wire = append(wire, runcommand.Tag{Key: tag.Key, Values: tag.Values})
	}
	return wire
}
