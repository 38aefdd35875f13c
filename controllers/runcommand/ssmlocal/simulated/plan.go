// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"slices"
	"time"
)

// plan is what one run does to the node. The times may be still to come when the run is played, and the run may be ended
// before: by the agent, or with its node.
type plan struct {
	uid string
	// acts is when it begins to act: the marker is made, if it makes one, and the effect recorded. Zero for a run that does not.
	acts   time.Time
	effect *Effect
	step   Step
	// boot is the one in which it runs.
	boot int
	// forced is when the script ends the step by force; zero for a step that ends by itself.
	forced time.Time
	// tied is a step that ends with its script: that of a document, which runs in no session of its own.
	tied bool
}

// carryOut schedules what the step of a plan does.
func (n *Node) carryOut(p *plan) {
	helps := p.acts.Add(p.step.HelpsAfter)
	if !p.step.Helps || (!p.forced.IsZero() && helps.After(p.forced)) {
		return
	}
	n.schedule(change{at: helps, boot: p.boot, by: p, apply: turn(Running)})
	if p.step.FailsAfter > 0 {
		n.schedule(change{at: helps.Add(p.step.FailsAfter), boot: p.boot, by: p, apply: turn(Crashed)})
	}
}

// interrupt ends the script of a plan at a time.
func (n *Node) interrupt(p *plan, at time.Time) {
	defer n.changing(at)()
	if n.watch != nil && n.watch.plan == p {
		n.watch.forget()
	}
	if n.lock.releasedBy == p && n.lock.released.After(at) {
		n.lock.release(time.Time{}, nil)
	}
	switch {
	case p.acts.After(at):
		n.undo(p)
	case p.tied:
		n.drop(func(c change) bool { return c.by == p && c.at.After(at) })
	case p.forced.After(at):
		// What would have ended the step dies with the script.
		if p.acts.Add(p.step.HelpsAfter).After(p.forced) {
			p.forced = time.Time{}
			n.carryOut(p)
		}
	}
}

// undo takes back a plan that had not begun to act.
func (n *Node) undo(p *plan) {
	if n.ran[p.uid] == p {
		delete(n.ran, p.uid)
	}
	if p.effect != nil {
		n.ledger.withdraw(p.effect)
	}
	n.drop(func(c change) bool { return c.by == p })
}

func (n *Node) drop(unwanted func(change) bool) {
	n.changes = slices.DeleteFunc(n.changes, unwanted)
}
