// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"
)

// mass ends the process on all nodes at once, and tells how long it takes until all are recovered, and what the limit on calls
// allows at best: each recovery is a send of its own.
func mass(ctx context.Context, r *run) error {
	at := r.clock.Now()
	var kills []kill
	for _, node := range r.nodes {
		node.Fail(at)
		kills = append(kills, kill{node, at})
	}
	if err := r.recovered(ctx, kills, time.Hour); err != nil {
		return err
	}
	latencies := r.result.incidents.latencies
	if len(latencies) == 0 {
		return nil
	}
	last := latencies[len(latencies)-1]
	calls := r.recorder.between(at, at.Add(last))
	best := floorWorst + time.Duration(float64(len(kills))/r.row.rate*float64(time.Second))
	r.result.tell("time until all are recovered, and at best", "%s s, %s s", seconds(last), seconds(best))
	r.result.tell("calls meanwhile, by operation", "%s", countsOf(byOperation(calls)))
	r.result.tell("calls that were refused", "%d", refusals(calls))
	r.result.atMost("calls a second in the busiest minute", busiest(calls, time.Minute), 1.1*r.row.rate, "", counted)
	return nil
}
