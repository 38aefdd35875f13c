// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// Boot is what happens when the node goes down, for a reboot or by a crash.
type Boot struct {
	// Takes is how long the node is off.
	Takes time.Duration
	// Never keeps it off for good.
	Never bool
	// Starts makes the boot start the process, After so long. Without it the process stays down.
	Starts bool
	After  time.Duration
	// Refused makes the node take the order to reboot and not follow it.
	Refused bool
}

// never is how long the server waits for a node that does not come up again.
const never = 100 * 365 * 24 * time.Hour

// goDown is a change: the node goes down, and comes up again as told.
func goDown(next Boot) func(*state) {
	return func(s *state) {
		if s.off {
			return
		}
		s.off, s.process, s.next, s.starts = true, Stopped, next, time.Time{}
		s.boot++
		if !next.Never {
			s.returns = s.at.Add(next.Takes)
		}
	}
}

// goDown lets a run take its node down at a time. The server is told, because that is where the agent stops and starts.
func (r *run) goDown(at time.Time) {
	b := r.node.reboot
	if b.Refused {
		return
	}
	r.node.schedule(change{at: at, boot: r.plan.boot, by: r.plan, apply: goDown(b)})
	r.reboot = &ssmlocal.Reboot{After: at.Sub(r.execution.Start), Down: b.Takes}
	if b.Never {
		r.reboot.Down = never
	}
}

// bootID is the id of a boot, which no other node and no other boot has.
func (n *Node) bootID(boot int) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(n.id))
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", boot, h.Sum64()&(1<<48-1))
}
