// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"maps"
	"time"
)

// maxUnended is how many nodes of a large command that have not answered by its deadline are listed. When there are more, the
// command did not reach them in time, and which they are does not matter.
const maxUnended = 500

// exceptionsGrace is how long after its deadline a command may take until lists and counts agree.
const exceptionsGrace = 10 * time.Second

// exceptions reads the nodes on which a command has not succeeded, and concludes from its counts that it has on all others:
//
//	counts say          and                                     read
//	all succeeded       it was delivered everywhere (sweep)     nothing
//	anything else       up to 50 nodes                          every node, which is one page
//	anything else       more nodes                              the nodes of each bad status, and of those that have not ended
func (r *reading) exceptions(ctx context.Context, want *tracked, o *Observation) error {
	small := max(o.Command.Targets, want.Want.Command.Targets) <= listPage
	switch {
	case o.Command.Succeeded():
		return r.allSucceeded(o)
	case small && (o.Command.ID != "" || want.Want.Command.Targets > 0):
		return r.all(ctx, want, o)
	case o.Command.ID == "":
		// Whoever it is for, nothing was seen of it.
		return nil
	case !o.Command.Done() && !r.overdue(want):
		if o.Command.Errors > listPage {
			// Each look would read them all again: they are read once, at the end.
			return nil
		}
		_, err := r.listInto(ctx, o, o.Command.Errors, StatusFailed, StatusExecutionTimedOut)
		return err
	default:
		return r.enumerate(ctx, want, o)
	}
}

// allSucceeded concludes what the counts say, where the sweep agrees. What was read of nodes that still ran then is out of date.
func (r *reading) allSucceeded(o *Observation) error {
	if r.sweepErr != nil {
		return r.sweepErr
	}
	maps.DeleteFunc(o.Invocations, func(_ string, i Invocation) bool { return !i.Status.Final() })
	for _, i := range r.undelivered {
		if i.CommandID == o.Command.ID {
			o.Invocations[i.InstanceID] = i
		}
	}
	o.ReadTime, o.Done, o.OthersSucceeded = r.clock.Now(), true, true
	return nil
}

// enumerate lists, of a large command that is over, every node on which it has not succeeded. When the lists do not agree with the
// counts, as they may for a moment, it is read again.
func (r *reading) enumerate(ctx context.Context, want *tracked, o *Observation) error {
	clear(o.Invocations)
	given := !r.clock.Now().Before(want.Deadline.Add(exceptionsGrace))
	c := o.Command
	unended := c.Targets - c.Completed
	if unended > maxUnended {
		o.Done = true
		return nil
	}
	expected := []struct {
		count    int
		statuses []Status
	}{
		{c.Errors, []Status{StatusFailed, StatusExecutionTimedOut}},
		{c.DeliveryTimedOut, []Status{StatusDeliveryTimedOut}},
		{unended, []Status{StatusPending, StatusInProgress, StatusDelayed, StatusCancelling}},
	}
	o.Done = given
	agree := true
	for _, e := range expected {
		found, err := r.listInto(ctx, o, e.count, e.statuses...)
		if err != nil {
			return err
		}
		agree = agree && found == e.count
	}
	if _, err := r.listInto(ctx, o, c.Targets, uncounted(c)...); err != nil {
		return err
	}
	o.ReadTime = r.clock.Now()
	o.OthersSucceeded = agree && c.Targets > 0
	o.Done = agree || given
	return nil
}

// uncounted are the statuses that count as completed and are in none of the counts. The status of a command that is over shows all
// but the first, unless errors do. While it is not over the second is what a person makes of single nodes, and the third is for roles
// to say; the others cannot be: we set no limit of errors, and the inventory tells the platforms.
func uncounted(c Command) []Status {
	switch {
	case c.Errors == 0 && c.Status == StatusSuccess:
		return []Status{StatusUndeliverable}
	case c.Errors == 0 && !c.Status.Final():
		return []Status{StatusUndeliverable, StatusCancelled, StatusAccessDenied}
	default:
		return []Status{StatusUndeliverable, StatusCancelled, StatusAccessDenied, StatusTerminated, StatusInvalidPlatform}
	}
}

// listInto reads the invocations of the statuses, one after the other, until so many were found, and returns how many were. Nothing
// is asked when none are expected.
func (r *reading) listInto(ctx context.Context, o *Observation, most int, statuses ...Status) (found int, err error) {
	for _, status := range statuses {
		if found >= most {
			break
		}
		filter := InvocationFilter{CommandID: o.Command.ID, Status: status}
		for invocation, err := range r.service.Invocations(ctx, filter) {
			if err != nil {
				return found, err
			}
			// Whether Failed is also the status of an undelivered one AWS's texts tell both ways.
			if invocation.Status == status {
				found++
			}
			o.Invocations[invocation.InstanceID] = invocation
		}
	}
	return found, nil
}
