// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// How often commands in flight are read. A throttling or failing SSM is asked less and less often.
const (
	pollInterval    = time.Second
	maxPollInterval = 30 * time.Second
)

// listByIDUpTo is how many commands are asked for one by one; more are picked out of one shared list.
const listByIDUpTo = 3

// clockSkew is how far AWS's clock may be from ours when a time of ours bounds a list.
const clockSkew = 2 * time.Minute

// Observation is what is known about a command in flight.
type Observation struct {
	// Command holds the counts as last listed. Its ID is empty until the command was visible.
	Command Command
	// Invocations holds, by instance, what was read so far. They are read again when the counts tell of a new error, and
	// when the command is done.
	Invocations map[string]Invocation
	// Done means that there is nothing more to wait for: the command has ended and was read, or its deadline has passed.
	Done bool
	// ReadTime is when the command was last asked for with success; zero before that.
	ReadTime time.Time
	// Err is the error of the last read; nil after a good one.
	Err error
}

// Want says what is wanted of a command in flight.
type Want struct {
	// Command is the command as Send returned it, or at least its ID and, as far as is known, RequestTime.
	Command Command
	// InstanceID, when it is set, asks for the Result of this one node, with its whole stdout, once it has ended. Otherwise
	// the invocations of all nodes are read.
	InstanceID string
	// Deadline, when it is set, ends the wait: the command is then read once more, whatever its counts.
	Deadline time.Time
	// Notify is called, without a lock held, when there is something new. It must not block.
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
	pending := t.pending()
	failed := false
	if len(pending) > 0 {
		failed = !t.readCommands(ctx, pending)
	}
	if !t.stepSearches(ctx) {
		failed = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed {
		t.interval = min(2*t.interval, maxPollInterval)
	} else {
		t.interval = pollInterval
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

func (t *Tracker) pending() map[string]Want {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := map[string]Want{}
	for id, c := range t.commands {
		if !c.Done {
			pending[id] = c.Want
		}
	}
	return pending
}

// readCommands lists the counts of the pending commands, and reads the results of those whose counts call for it. It
// reports whether all reads succeeded.
func (t *Tracker) readCommands(ctx context.Context, pending map[string]Want) bool {
	listed, err := t.list(ctx, pending)
	ok := err == nil
	for id, want := range pending {
		before, tracking := t.Observe(id)
		if !tracking {
			continue
		}
		after := before
		after.Err = err
		if err == nil {
			after.ReadTime = t.clock.Now()
		}
		if c, visible := listed[id]; visible {
			after.Command = c
		}
		if t.wantsResults(want, before, after) {
			ok = t.readResults(ctx, want, &after) && ok
		}
		t.store(id, before, after)
	}
	return ok
}

// list returns the counts of the pending commands that are visible.
func (t *Tracker) list(ctx context.Context, pending map[string]Want) (map[string]Command, error) {
	listed := map[string]Command{}
	filters := []CommandFilter{}
	if len(pending) <= listByIDUpTo {
		for id := range pending {
			filters = append(filters, CommandFilter{ID: id})
		}
	} else {
		filters = append(filters, CommandFilter{After: oldest(pending).Add(-clockSkew)})
	}
	for _, filter := range filters {
		commands, err := t.service.Commands(ctx, filter)
		if err != nil && Classify(err) != NotYet {
			return listed, err
		}
		for _, c := range commands {
			if _, wanted := pending[c.ID]; wanted {
				listed[c.ID] = c
			}
		}
	}
	return listed, nil
}

func oldest(pending map[string]Want) time.Time {
	var oldest time.Time
	for _, want := range pending {
		if at := want.Command.RequestTime; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// wantsResults decides whether the results have to be read: the command is done, its deadline has passed, or one more node
// has ended badly than was known.
func (t *Tracker) wantsResults(want Want, before, after Observation) bool {
	if !want.Deadline.IsZero() && !t.clock.Now().Before(want.Deadline) {
		return true
	}
	if after.Command.ID == "" {
		return false
	}
	return after.Command.Done() || (want.InstanceID == "" && after.Command.Errors > before.Command.Errors)
}

// readResults reads the results of a command into the observation, and reports whether that succeeded.
func (t *Tracker) readResults(ctx context.Context, want Want, o *Observation) bool {
	overdue := !want.Deadline.IsZero() && !t.clock.Now().Before(want.Deadline)
	invocations, err := t.results(ctx, want)
	if err != nil && Classify(err) != NotYet {
		o.Err = err
		o.Done = overdue
		return false
	}
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
	o.Done = overdue || (o.Command.Done() && final >= expected)
	return true
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

// store keeps an observation and tells whoever waits when it is news.
func (t *Tracker) store(id string, before, after Observation) {
	t.mu.Lock()
	c, ok := t.commands[id]
	if ok {
		c.Observation = after
	}
	t.mu.Unlock()
	news := after.Done || after.Command.Status != before.Command.Status || after.Command.Errors != before.Command.Errors
	if ok && news && c.Notify != nil {
		c.Notify()
	}
}
