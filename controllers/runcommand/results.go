// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
)

func (t *Tracker) overdue(want *tracked) bool { return !t.clock.Now().Before(want.Deadline) }

// wantsResults decides whether the results have to be read: the command is done, its deadline has passed, or one more node
// has ended badly than was known.
func (t *Tracker) wantsResults(want *tracked, after *Observation) bool {
	before := want.Observation.Command
	if t.overdue(want) {
		return true
	}
	if after.Command.ID == "" || after.Err != nil {
		return false
	}
	return after.Command.Done() || (want.InstanceID == "" && (after.Command.Errors > before.Errors ||
		after.Command.DeliveryTimedOut > before.DeliveryTimedOut))
}

// results reads the results of a command into the observation. After the deadline it is done even when that fails.
func (r *reading) results(ctx context.Context, want *tracked, o *Observation) {
	o.Done = r.overdue(want)
	if r.overloaded && !o.Done {
		// The counts of before stay, so that the next reading finds the news in them.
		o.Command = want.Observation.Command
		return
	}
	var err error
	switch {
	case want.InstanceID != "":
		err = r.result(ctx, want, o)
	case want.Exceptions:
		err = r.exceptions(ctx, want, o)
	default:
		err = r.all(ctx, want, o)
	}
	if err != nil && Classify(err) != NotYet {
		o.Err = err
		r.overloaded = r.overloaded || overloaded(err)
	}
}

// result reads the one node of a command.
func (r *reading) result(ctx context.Context, want *tracked, o *Observation) error {
	result, err := r.service.Result(ctx, want.Want.Command.ID, want.InstanceID)
	if err != nil {
		return err
	}
	o.ReadTime = r.clock.Now()
	o.Invocations[result.InstanceID] = result
	o.Done = o.Done || (o.Command.Done() && result.Status.Final())
	return nil
}

// all reads every node of a command.
func (r *reading) all(ctx context.Context, want *tracked, o *Observation) error {
	final := 0
	for invocation, err := range r.service.Invocations(ctx, InvocationFilter{CommandID: want.Want.Command.ID}) {
		if err != nil {
			return err
		}
		o.Invocations[invocation.InstanceID] = invocation
		if invocation.Status.Final() {
			final++
		}
	}
	o.ReadTime = r.clock.Now()
	// Lists lag behind each other: a command that is done by its counts is done when its results say so too.
	o.Done = o.Done || (o.Command.Done() && final >= o.Command.Targets)
	return nil
}
