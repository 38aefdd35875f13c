// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"slices"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// laneWorkers is how many rounds of a lane are begun at the same time.
	laneWorkers = 16
	// laneQueue is how many may wait for that; a policy whose round does not fit in tries again later.
	laneQueue = 4096
)

// lane is a queue of rounds that are begun one after the other. Workers wait while AWS allows no more calls: so there is one for
// each location, because the others need not wait for one that throttles, and rounds that confirm do not queue behind all those
// that come every period.
type lane struct {
	location   runcommand.Location
	confirming bool
	queue      chan *round
}

// laneOf returns the lane of a round. Start lets its workers begin.
func (p *Prober) laneOf(r *round) *lane {
	p.mu.Lock()
	n := slices.IndexFunc(p.lanes, func(l *lane) bool { return l.location == r.location && l.confirming == r.confirming() })
	if n >= 0 {
		defer p.mu.Unlock()
		return p.lanes[n]
	}
	opened := &lane{r.location, r.confirming(), make(chan *round, laneQueue)}
	p.lanes = append(p.lanes, opened)
	p.mu.Unlock()
	p.opened <- opened
	return opened
}

// work begins the rounds of a lane until the context ends.
func (p *Prober) work(ctx context.Context, l *lane) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-l.queue:
			p.begin(ctx, r)
		}
	}
}

// confirming reports whether the round is about single instances, whose probe failed.
func (r *round) confirming() bool { return r.instanceIDs != nil && r.watch.Duration == 0 }

// priority is that of the calls that the round makes.
func (r *round) priority() runcommand.Priority {
	if r.confirming() {
		return runcommand.PriorityConfirm
	}
	return runcommand.PriorityProbe
}
