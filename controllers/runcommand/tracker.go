// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// How often commands in flight are read. A throttling or failing SSM is asked less and less often, and so is one command
// that cannot be read. One that takes long is not looked at every second.
const (
	pollInterval    = time.Second
	maxPollInterval = 30 * time.Second
	longAge         = 2 * time.Minute
	longInterval    = 10 * time.Second
)

// listByIDUpTo is how many commands are asked for one by one; more are picked out of one shared list.
const listByIDUpTo = 3

// unlistedAge is the age at which a command that the shared list does not show is asked for by its id: the list may have
// been too long to read to its end.
const unlistedAge = 15 * time.Second

// clockSkew is how far AWS's clock may be from ours when a time of ours bounds a list.
const clockSkew = 2 * time.Minute

// keepDone is how long what was read is kept when nobody forgets it.
const keepDone = 10 * time.Minute

// Observation is what is known about a command in flight.
type Observation struct {
	// Command holds the counts as last listed. Its ID is empty until the command was visible.
	Command Command
	// Invocations holds, by instance, what was read so far. They are read again when the counts tell of a new error, and
	// when the command is done.
	Invocations map[string]Invocation
	// ReadTime is when the invocations had last been read; zero before that.
	ReadTime time.Time
	// Done means that there is nothing more to wait for: the command has ended and was read, or its deadline has passed.
	Done bool
	// Err is the error of the last read; nil after a good one.
	Err error
}

// Want says what is wanted of a command in flight.
type Want struct {
	// Command is the command as Send returned it, or at least its ID and a RequestTime that is not later than its own.
	Command Command
	// InstanceID, when it is set, asks for the Result of this one node, with its whole stdout, once it has ended. Otherwise
	// the invocations of all nodes are read, which is also how a document is read that may have several steps.
	InstanceID string
	// Deadline ends the wait: the command is then read once more, whatever its counts.
	Deadline time.Time
	// Notify is called, without a lock held, when there is something new.
	Notify func()
}

// Tracker reads what became of the commands in flight in one location, all of them together. It does so in Step only.
type Tracker struct {
	service Service
	clock   clock.PassiveClock
	wake    func()

	mu       sync.Mutex
	commands map[string]*tracked
	searches map[string]*search
	interval time.Duration
}

type tracked struct {
	Want
	Observation
	// due is when it is to be read next.
	due time.Time
}

// NewTracker returns a Tracker that calls wake when there is something to do for Step.
func NewTracker(service Service, clk clock.PassiveClock, wake func()) *Tracker {
	return &Tracker{
		service: service, clock: clk, wake: wake,
		commands: map[string]*tracked{}, searches: map[string]*search{}, interval: pollInterval,
	}
}

// Track starts to read a command. A command that is tracked already goes on as it was.
func (t *Tracker) Track(w Want) {
	t.mu.Lock()
	_, known := t.commands[w.Command.ID]
	if !known {
		t.commands[w.Command.ID] = &tracked{Want: w, Observation: Observation{Invocations: map[string]Invocation{}}}
	}
	t.mu.Unlock()
	if !known {
		t.wake()
	}
}

// Observe returns what is known about a command, and whether it is tracked.
func (t *Tracker) Observe(commandID string) (Observation, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.commands[commandID]
	if !ok {
		return Observation{}, false
	}
	observation := c.Observation
	observation.Invocations = maps.Clone(c.Invocations)
	return observation, true
}

// Forget stops reading a command.
func (t *Tracker) Forget(commandID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.commands, commandID)
}

// Step reads all commands in flight once, and returns how long to wait until the next time; 0 means that there is nothing
// to wait for. It is not to be called twice at a time.
func (t *Tracker) Step(ctx context.Context) time.Duration {
	ok := true
	if pending := t.pending(); len(pending) > 0 {
		ok = t.readCommands(ctx, pending)
	}
	ok = t.stepSearches(ctx) && ok
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok {
		t.interval = pollInterval
	} else {
		t.interval = min(2*t.interval, maxPollInterval)
	}
	if t.idle() {
		return 0
	}
	return t.interval
}

func (t *Tracker) idle() bool {
	for _, c := range t.commands {
		if !c.Done {
			return false
		}
	}
	return !t.searching()
}

// pending returns what is due to be read, and drops what nobody has asked for after its end.
func (t *Tracker) pending() map[string]Want {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	maps.DeleteFunc(t.commands, func(_ string, c *tracked) bool { return c.Done && now.Sub(c.due) > keepDone })
	pending := map[string]Want{}
	for id, c := range t.commands {
		if !c.Done && !now.Before(c.due) {
			pending[id] = c.Want
		}
	}
	return pending
}

// readCommands lists the counts of the pending commands, and reads the results of those whose counts call for it. It
// reports whether AWS is in a state to answer.
func (t *Tracker) readCommands(ctx context.Context, pending map[string]Want) bool {
	listed, err := t.list(ctx, pending)
	ok := !overloaded(err)
	for id, want := range pending {
		before, tracking := t.Observe(id)
		if !tracking {
			continue
		}
		after := before
		after.Err = err
		if c, visible := listed[id]; visible {
			after.Command = c
		}
		if t.wantsResults(want, before, after) {
			t.readResults(ctx, want, &after)
			ok = ok && !overloaded(after.Err)
		}
		t.store(id, before, after)
	}
	return ok
}

// overloaded reports whether an error says that AWS is to be asked less often. Others are about one command only.
func overloaded(err error) bool {
	if err == nil {
		return false
	}
	class := Classify(err)
	return class == Throttled || class == Unavailable
}

// list returns the counts of the pending commands that are visible.
func (t *Tracker) list(ctx context.Context, pending map[string]Want) (map[string]Command, error) {
	var recent, single []string
	for id, want := range pending {
		if t.age(want) < longAge {
			recent = append(recent, id)
		} else {
			single = append(single, id)
		}
	}
	listed := map[string]Command{}
	if len(recent) > listByIDUpTo {
		if err := t.listInto(ctx, CommandFilter{After: oldest(recent, pending).Add(-clockSkew)}, pending, listed); err != nil {
			return listed, err
		}
		recent = slices.DeleteFunc(recent, func(id string) bool {
			_, found := listed[id]
			return found || t.age(pending[id]) < unlistedAge
		})
	}
	for _, id := range append(single, recent...) {
		if err := t.listInto(ctx, CommandFilter{ID: id}, pending, listed); err != nil {
			return listed, err
		}
	}
	return listed, nil
}

func (t *Tracker) age(want Want) time.Duration { return t.clock.Since(want.Command.RequestTime) }

func (t *Tracker) listInto(
	ctx context.Context, filter CommandFilter, pending map[string]Want, listed map[string]Command,
) error {
	commands, err := t.service.Commands(ctx, filter)
	if err != nil && Classify(err) != NotYet {
		return err
	}
	for _, c := range commands {
		if _, wanted := pending[c.ID]; wanted {
			listed[c.ID] = c
		}
	}
	return nil
}

func oldest(ids []string, pending map[string]Want) time.Time {
	var oldest time.Time
	for _, id := range ids {
		if at := pending[id].Command.RequestTime; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

func (t *Tracker) overdue(want Want) bool { return !t.clock.Now().Before(want.Deadline) }

// wantsResults decides whether the results have to be read: the command is done, its deadline has passed, or one more node
// has ended badly than was known.
func (t *Tracker) wantsResults(want Want, before, after Observation) bool {
	if t.overdue(want) {
		return true
	}
	if after.Command.ID == "" {
		return false
	}
	return after.Command.Done() || (want.InstanceID == "" && after.Command.Errors > before.Command.Errors)
}

// readResults reads the results of a command into the observation. After the deadline it is done even when that fails.
func (t *Tracker) readResults(ctx context.Context, want Want, o *Observation) {
	o.Done = t.overdue(want)
	invocations, err := t.results(ctx, want)
	if err != nil && Classify(err) != NotYet {
		o.Err = err
		return
	}
	o.ReadTime = t.clock.Now()
	final := 0
	for _, i := range invocations {
		o.Invocations[i.InstanceID] = i
		if i.Status.Final() {
			final++
		}
	}
	expected := o.Command.Targets
	if want.InstanceID != "" {
		expected = 1
	}
	// Lists lag behind each other: a command that is done by its counts is done when its results say so too.
	o.Done = o.Done || (o.Command.Done() && final >= expected)
}

func (t *Tracker) results(ctx context.Context, want Want) ([]Invocation, error) {
	if want.InstanceID == "" {
		return t.service.Invocations(ctx, want.Command.ID)
	}
	result, err := t.service.Result(ctx, want.Command.ID, want.InstanceID)
	if err != nil {
		return nil, err
	}
	return []Invocation{result}, nil
}

// dueAfter is when a command that was just read is to be read next.
func (t *Tracker) dueAfter(c *tracked) time.Time {
	now := t.clock.Now()
	due := now
	switch {
	case c.Err != nil && !overloaded(c.Err):
		due = now.Add(maxPollInterval)
	case !c.Done && t.age(c.Want) >= longAge:
		due = now.Add(longInterval)
	}
	// The deadline is kept in any case.
	if c.Deadline.After(now) && c.Deadline.Before(due) {
		return c.Deadline
	}
	return due
}

// store keeps an observation and tells whoever waits when it is news.
func (t *Tracker) store(id string, before, after Observation) {
	t.mu.Lock()
	c, ok := t.commands[id]
	if ok {
		c.Observation = after
		c.due = t.dueAfter(c)
	}
	t.mu.Unlock()
	news := after.Done || after.Command.Status != before.Command.Status || after.Command.Errors != before.Command.Errors
	if ok && news && c.Notify != nil {
		c.Notify()
	}
}
