// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// nodeRows are about nodes and their agents.
func nodeRows() []*row {
	return []*row{
		{point: "agents", fault: "die midway, come back", bounded: true, meddle: agentsStop(ssmlocal.ScriptsGoOn)},
		{point: "agents", fault: "die midway with their scripts, come back", meddle: agentsStop(ssmlocal.ScriptsDie)},
		{point: "agents", fault: "take commands and never answer", meddle: mute},
		{point: "agents", fault: "replay persisted commands at once", meddle: replaySoon},
		{point: "agents", fault: "replay persisted commands an hour later", bounded: true, long: true, afterwards: replayLater},
		{point: "agents", fault: "run commands that somebody has cancelled", meddle: cancelAndReplay},
		{point: "nodes", fault: "not reached for a while", meddle: unreachable},
		{point: "nodes", fault: "reboot midway", meddle: reboots},
		{point: "nodes", fault: "clocks 90 s ahead", prepare: clocks(90 * time.Second)},
		{point: "nodes", fault: "clocks 90 s behind", prepare: clocks(-90 * time.Second)},
		{point: "processes", fault: "end again right after each recovery", bounded: true, long: true, prepare: relapse, tail: 20 * time.Minute},
	}
}

// disturb does something to a random node now and then, mostly to one on which a recovery is going on, and undoes it.
func disturb(ctx context.Context, r *run, least, most time.Duration, do, undo func(*simulated.Node)) error {
	for ctx.Err() == nil {
		node := r.anyNode()
		do(node)
		r.hit()
		r.sleep(ctx, r.between(least, most))
		undo(node)
		r.sleep(ctx, r.between(0, 3*time.Second))
	}
	return nil
}

// anyNode is a random node, one that is under recovery where there is one.
func (r *run) anyNode() *simulated.Node {
	var running []string
	for _, rec := range r.history.all() {
		if !rec.gone && rec.last.Status.CompletionTime == nil {
			running = append(running, string(rec.last.Spec.InstanceID))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(running) == 0 {
		return r.nodes[r.rng.IntN(len(r.nodes))]
	}
	id := running[r.rng.IntN(len(running))]
	for _, node := range r.nodes {
		if node.ID() == id {
			return node
		}
	}
	return r.nodes[0]
}

func agentsStop(scripts ssmlocal.AgentStop) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		return disturb(ctx, r, 2*time.Second, 40*time.Second,
			func(n *simulated.Node) { r.server.StopAgent(n.ID(), scripts) },
			func(n *simulated.Node) { r.server.StartAgent(n.ID()) })
	}
}

func mute(ctx context.Context, r *run) error {
	return disturb(ctx, r, 10*time.Second, 60*time.Second,
		func(n *simulated.Node) { n.SetAgent(simulated.Mute) }, func(n *simulated.Node) { n.SetAgent(simulated.Answering) })
}

func unreachable(ctx context.Context, r *run) error {
	return disturb(ctx, r, 10*time.Second, 3*time.Minute,
		func(n *simulated.Node) { r.server.SetConnection(n.ID(), ssmlocal.ConnectionLost) },
		func(n *simulated.Node) { r.server.SetConnection(n.ID(), ssmlocal.Online) })
}

func reboots(ctx context.Context, r *run) error {
	return disturb(ctx, r, 20*time.Second, 40*time.Second, func(n *simulated.Node) {
		n.GoDown(r.ssmClock.Now(), simulated.Boot{Takes: 15 * time.Second, Starts: r.heads(0.5)})
		r.connect()
	}, func(*simulated.Node) { r.connect() })
}

// clocks sets the clocks of the nodes.
func clocks(by time.Duration) func(*run) {
	return func(r *run) {
		for _, node := range r.nodes {
			r.server.SetClockSkew(node.ID(), by)
		}
		r.hit()
	}
}

// relapse lets every process that a recovery has started end again soon, while the row is armed.
func relapse(r *run) {
	for _, node := range r.nodes {
		node.OnStep(func(e simulated.Effect) simulated.Step {
			step := r.step(e)
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.armed {
				r.hits++
				r.incidents++
				step.Helps, step.FailsAfter = true, 2*time.Second
			}
			return step
		})
	}
}
