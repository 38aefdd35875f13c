// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"time"
)

// maxSwept is how many undelivered invocations one sweep reads: four pages.
const maxSwept = 4 * listPage

// sweep finds the nodes that commands could not be delivered to, of all commands at once that have succeeded by their counts:
// undelivered ones count as completed, without an error, and a command with some of them may read as a success.
func (r *reading) sweep(ctx context.Context) {
	var ending []string
	for id, after := range r.after {
		if r.before[id].Exceptions && after.Err == nil && after.Command.Succeeded() {
			ending = append(ending, id)
		}
	}
	ending = inOrder(ending, r.before)
	if len(ending) == 0 {
		return
	}
	filter := InvocationFilter{Status: StatusUndeliverable, After: oldest(ending, func(id string) time.Time {
		return r.after[id].Command.RequestTime
	}).Add(-listMargin)}
	if len(ending) == 1 {
		filter = InvocationFilter{Status: StatusUndeliverable, CommandID: ending[0]}
	}
	for invocation, err := range r.service.Invocations(ctx, filter) {
		if err != nil {
			r.sweepErr = err
			return
		}
		r.undelivered = append(r.undelivered, invocation)
		if len(r.undelivered) >= maxSwept && len(ending) > 1 {
			r.sweepEach(ctx, ending)
			return
		}
	}
}

// sweepEach asks for each command by itself, where others have so many undelivered ones that ours might be behind them.
func (r *reading) sweepEach(ctx context.Context, ending []string) {
	r.undelivered = nil
	for _, id := range ending {
		for invocation, err := range r.service.Invocations(ctx, InvocationFilter{Status: StatusUndeliverable, CommandID: id}) {
			if err != nil {
				r.sweepErr = err
				return
			}
			r.undelivered = append(r.undelivered, invocation)
		}
	}
}
