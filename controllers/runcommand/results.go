// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"time"
)

func (t *Tracker) overdue(want *tracked) bool { return !t.clock.Now().Before(want.Deadline) }

// wantsResults decides whether the results have to be read: the command is done, its deadline has passed, or its counts tell of
// something that is not in the results which were read before.
func (t *Tracker) wantsResults(want *tracked, after *Observation) bool {
	switch {
	case t.overdue(want):
		return true
	case after.Command.ID == "" || after.Err != nil:
		return false
	case after.Command.Done():
		return true
	case want.InstanceID != "":
		return false
	}
	final, failed, timedOut := after.ends()
	if after.Command.Completed <= final {
		return false
	}
	// Ends that are no errors are not worth a look each, but those of a command that stays are not left untold either.
	quiet := want.Interval > 0 && after.Command.Completed == want.Observation.Command.Completed
	return after.Command.Errors > failed || after.Command.DeliveryTimedOut > timedOut || quiet
}

// ends counts the invocations that have ended, and those among them that count as an error or a delivery timeout.
func (o *Observation) ends() (final, failed, timedOut int) {
	for _, i := range o.Invocations {
		if i.Status.Final() {
			final++
		}
		switch i.Status {
		case StatusFailed, StatusExecutionTimedOut:
			failed++
		case StatusDeliveryTimedOut:
			timedOut++
		default:
		}
	}
	return final, failed, timedOut
}

// note notes when the invocations that have ended had not yet, and whether counts that were asked for at askTime tell of nothing else.
func (o *Observation) note(listed bool, askTime time.Time) {
	for id, i := range o.Invocations {
		if _, noted := o.PriorTimes[id]; i.Status.Final() && !noted {
			o.PriorTimes[id] = o.PriorTime
		}
	}
	if final, _, _ := o.ends(); listed && o.Command.Completed <= final {
		o.PriorTime = askTime
	}
}

// results reads the results of a command into the observation. After the deadline it is done even when that fails.
func (r *reading) results(ctx context.Context, want *tracked, o *Observation) {
	o.Done = r.overdue(want)
	if r.overloaded && !o.Done {
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
