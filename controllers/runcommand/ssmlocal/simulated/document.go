// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import "strings"

// document runs a step of a document that is the user's. It asks nothing of the node: every execution acts.
func (r *run) document() {
	uid, _, _ := strings.Cut(r.execution.Comment, "/")
	effect := Effect{
		InstanceID: r.node.id, UID: uid, CommandID: r.execution.CommandID, Kind: r.execution.Kind,
		Action: r.execution.DocumentName, DocumentStep: r.execution.Step,
		Time: r.now, Healthy: r.state().process == Running,
	}
	p := r.plan
	p.acts, p.effect, p.tied = r.now, r.node.ledger.record(effect), true
	p.step = r.node.step(effect)
	takes, forced := p.step.takes(r.execution.Timeout)
	if forced {
		p.forced = r.limit
	}
	r.node.carryOut(p)
	if !forced && p.step.Fate == CrashesNode {
		r.goDown(r.now.Add(takes))
	}
	r.printed.WriteString(p.step.Output)
	r.exit = p.step.Exit
	if r.elapse(p.step.Takes) && p.step.Fate == KillsScript {
		r.die(bySignal)
	}
}
