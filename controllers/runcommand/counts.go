// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"slices"
	"time"
)

// listByIDUpTo is how many commands are asked for one by one; more are picked out of one shared list.
const listByIDUpTo = 3

// listPage is how many commands or invocations one page of a list holds.
const listPage = 50

// oldAge is the age from which commands are picked out of the list of those that still run: the list of all since then would be
// long by then.
const oldAge = 30 * time.Second

// unlistedAge is the age at which a command that the shared list does not show is asked for by its id: the list may have
// been too long to read to its end.
const unlistedAge = 15 * time.Second

// listMargin is how much earlier than the oldest command a list begins: filters know whole seconds.
const listMargin = time.Second

// clockSkew is how far AWS's clock may be from ours when a time of ours bounds a list.
const clockSkew = 2 * time.Minute

// reading is one Step over the commands in flight: what was known before of all that have not ended, and what is known after it
// of those that were read.
type reading struct {
	*Tracker
	before map[string]*tracked
	after  map[string]*Observation
	// listed are the commands whose counts were read, and askTime is a time before that.
	listed  map[string]bool
	askTime time.Time
	// undelivered are the nodes that commands could not be delivered to which have succeeded by their counts, and sweepErr why nobody
	// knows of these.
	undelivered []Invocation
	sweepErr    error
	// overloaded means that AWS is to be asked less often.
	overloaded bool
}

// list reads the counts of the commands that are due. One call shows up to fifty commands, those of others too that are not due
// yet: these are read with it.
func (r *reading) list(ctx context.Context, due []string) {
	for _, id := range due {
		r.touch(id)
	}
	var recent, old, single []string
	for _, id := range due {
		switch c := r.before[id]; {
		case c.requested().IsZero():
			single = append(single, id)
		case r.clock.Since(c.requested()) >= oldAge:
			old = append(old, id)
		default:
			recent = append(recent, id)
		}
	}
	if len(recent) > listByIDUpTo {
		after := oldest(recent, func(id string) time.Time { return r.before[id].requested() }).Add(-listMargin)
		r.listShared(ctx, CommandFilter{After: after}, recent)
		// One that is not visible yet will be.
		recent = slices.DeleteFunc(recent, func(id string) bool { return r.listed[id] || r.clock.Since(r.before[id].since) < unlistedAge })
	}
	if len(old) > 1 {
		r.listShared(ctx, CommandFilter{Executing: true}, old)
		old = slices.DeleteFunc(old, func(id string) bool { return r.listed[id] })
	}
	for _, id := range slices.Concat(single, old, recent) {
		if r.overloaded {
			return
		}
		r.listShared(ctx, CommandFilter{ID: id}, []string{id})
	}
}

// touch makes a command one of those that are read.
func (r *reading) touch(id string) *Observation {
	if r.after[id] == nil {
		after := r.before[id].clone()
		after.Err = nil
		r.after[id] = &after
	}
	return r.after[id]
}

// listShared reads one list as far as it takes to find what is wanted, and takes in whatever else of ours is on the way.
func (r *reading) listShared(ctx context.Context, filter CommandFilter, wanted []string) {
	missing := 0
	for _, id := range wanted {
		if !r.listed[id] {
			missing++
		}
	}
	for command, err := range r.service.Commands(ctx, filter) {
		if err != nil {
			r.failed(err, wanted)
			return
		}
		if r.before[command.ID] == nil || r.listed[command.ID] {
			continue
		}
		if slices.Contains(wanted, command.ID) {
			missing--
		}
		r.touch(command.ID).Command = command
		r.listed[command.ID] = true
		if missing == 0 {
			return
		}
	}
}

// failed notes why commands could not be read. That one is not visible yet is no failure.
func (r *reading) failed(err error, wanted []string) {
	if Classify(err) == NotYet {
		return
	}
	r.overloaded = r.overloaded || overloaded(err)
	for _, id := range wanted {
		if !r.listed[id] {
			r.touch(id).Err = err
		}
	}
}

// requested is when AWS accepted the command, by its clock; zero when that is not known.
func (c *tracked) requested() time.Time {
	if c.Observation.Command.ID != "" {
		return c.Observation.Command.RequestTime
	}
	return c.Want.Command.RequestTime
}

// oldest is the earliest of the times of commands.
func oldest(ids []string, requested func(id string) time.Time) time.Time {
	var oldest time.Time
	for _, id := range ids {
		if at := requested(id); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}
