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
// that cannot be read. One that takes long is not looked at every second, and the recovery of one node, as long as it is young, more
// often, because somebody waits for it.
const (
	youngAge        = 5 * time.Second
	youngInterval   = 500 * time.Millisecond
	pollInterval    = time.Second
	maxPollInterval = 30 * time.Second
	longAge         = 2 * time.Minute
	longInterval    = 10 * time.Second
)

// settle is how long a command that was just sent is left alone before it is read for the first time: lists do not show it
// earlier. Commands that are due within that time of each other are read together.
const settle = 300 * time.Millisecond

// keepDone is how long what was read is kept when nobody forgets it.
const keepDone = 10 * time.Minute

// Observation is what is known about a command in flight.
type Observation struct {
	// Command holds the counts as last listed. Its ID is empty until the command was visible.
	Command Command
	// Invocations holds, by instance, what was read so far. They are read again when the counts tell of a new error, and
	// when the command is done.
	Invocations map[string]Invocation
	// OthersSucceeded is set, of a Want with Exceptions that is Done, when the counts prove that the command has succeeded on all of
	// its nodes that are not in Invocations. Which these are AWS does not say.
	OthersSucceeded bool
	// Settled is how long after the begin of tracking the counts were last seen to change.
	Settled time.Duration
	// PriorTime is when counts were last asked for that told of nothing but what is in Invocations: what is not in there has ended
	// later, but for the lag of lists. PriorTimes are those of the invocations that have ended.
	PriorTime  time.Time
	PriorTimes map[string]time.Time
	// ReadTime is when the invocations, or counts that stand for them, had last been read; zero before that.
	ReadTime time.Time
	// Done means that there is nothing more to wait for: the command has ended and was read, or its deadline has passed.
	Done bool
	// Err is the error of the last read; nil after a good one.
	Err error
}

func newObservation() Observation {
	return Observation{Invocations: map[string]Invocation{}, PriorTimes: map[string]time.Time{}}
}

// clone copies what a later reading changes.
func (o Observation) clone() Observation {
	o.Invocations, o.PriorTimes = maps.Clone(o.Invocations), maps.Clone(o.PriorTimes)
	return o
}

// Want says what is wanted of a command in flight.
type Want struct {
	// Command is the command as Send returned it, or its ID alone.
	Command Command
	// InstanceID, when it is set, asks for the Result of this one node, with its whole stdout, once it has ended. Otherwise
	// the invocations of all nodes are read, which is also how a document is read that may have several steps.
	InstanceID string
	// Exceptions asks only for the nodes on which the command does not succeed. That all others do is told by counts.
	Exceptions bool
	// Expected is how long the command will probably take: it is not asked for earlier.
	Expected time.Duration
	// Interval is the time between two looks at the command; zero for one that suits its kind.
	Interval time.Duration
	// Offline is how many nodes are not expected to answer: when all others have, the command is asked for again at its Deadline.
	Offline int
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
	// tracked is how many commands and searches there were so far.
	tracked  int
	interval time.Duration
	// stepTime is when the last Step ended.
	stepTime time.Time
}

type tracked struct {
	Want
	Observation
	// number is in the order of the calls of Track, which is that in which commands are read.
	number int
	// since is when it began to be tracked, due when it is to be read next.
	since, due time.Time
	// still means that its counts were the same at the last two looks.
	still bool
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
		now := t.clock.Now()
		t.tracked++
		due := now.Add(max(settle, w.Expected))
		if !w.Deadline.IsZero() && w.Deadline.Before(due) {
			due = w.Deadline
		}
		t.commands[w.Command.ID] = &tracked{Want: w, Observation: newObservation(), number: t.tracked, since: now, due: due}
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
	return c.clone(), true
}

// Forget stops reading a command.
func (t *Tracker) Forget(commandID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.commands, commandID)
}

// Wait returns how long to wait before the next Step; 0 means that there is nothing to wait for.
func (t *Tracker) Wait() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	due, any := t.nextDue()
	if !any {
		return 0
	}
	if rested := t.stepTime.Add(t.rest()); due.Before(rested) {
		due = rested
	}
	return max(due.Sub(t.clock.Now()), 1)
}

// rest is the time between two Steps. It is short for the sake of young ones, as far as one page lists them.
func (t *Tracker) rest() time.Duration {
	young, now := 0, t.clock.Now()
	for _, c := range t.commands {
		if !c.Done && c.young(now) {
			young++
		}
	}
	if t.interval > pollInterval || young == 0 || young > listPage {
		return t.interval
	}
	return youngInterval
}

func (c *tracked) young(now time.Time) bool { return c.InstanceID != "" && now.Sub(c.since) < youngAge }

func (t *Tracker) nextDue() (due time.Time, any bool) {
	for _, c := range t.commands {
		if !c.Done && (!any || c.due.Before(due)) {
			due, any = c.due, true
		}
	}
	for _, s := range t.searches {
		if s.Found.ID == "" && (!any || s.tryTime.Before(due)) {
			// One is looked for at its own pace within the steps.
			due, any = s.tryTime, true
		}
	}
	return due, any
}

// Step reads all commands in flight that are due, and returns how long to wait until the next time; 0 means that there is
// nothing to wait for. It is not to be called twice at a time.
func (t *Tracker) Step(ctx context.Context) time.Duration {
	pending, due := t.pending()
	open := t.dueSearches()
	ok := len(due) == 0 || t.readCommands(ctx, pending, due)
	ok = t.lookFor(ctx, open) && ok
	t.mu.Lock()
	switch {
	case !ok:
		t.interval = min(2*t.interval, maxPollInterval)
	case len(due) > 0 || len(open) > 0:
		t.interval = pollInterval
	}
	t.stepTime = t.clock.Now()
	t.mu.Unlock()
	return t.Wait()
}

// pending returns what has not ended, and which of these are due to be read, and drops what nobody has asked for after its end.
func (t *Tracker) pending() (pending map[string]*tracked, due []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	maps.DeleteFunc(t.commands, func(_ string, c *tracked) bool { return c.Done && now.Sub(c.due) > keepDone })
	pending = map[string]*tracked{}
	for id, c := range t.commands {
		if c.Done {
			continue
		}
		at := *c
		pending[id] = &at
		if !now.Add(settle).Before(c.due) {
			due = append(due, id)
		}
	}
	return pending, inOrder(due, pending)
}

// inOrder puts commands into the order in which they were tracked.
func inOrder(ids []string, of map[string]*tracked) []string {
	slices.SortFunc(ids, func(a, b string) int { return of[a].number - of[b].number })
	return ids
}

// readCommands lists the counts of the commands that are due, and of others that are listed with them, and reads the results of
// those whose counts call for it. It reports whether AWS is in a state to answer.
func (t *Tracker) readCommands(ctx context.Context, pending map[string]*tracked, due []string) bool {
	r := &reading{Tracker: t, before: pending, after: map[string]*Observation{}, listed: map[string]bool{}, askTime: t.clock.Now()}
	r.list(ctx, due)
	r.sweep(ctx)
	for _, id := range inOrder(slices.Collect(maps.Keys(r.after)), pending) {
		after := r.after[id]
		if want := pending[id]; t.wantsResults(want, after) {
			r.results(ctx, want, after)
		}
		after.note(r.listed[id], r.askTime)
		t.store(id, r, pending[id].Observation, *after)
	}
	return !r.overloaded
}

// overloaded reports whether an error says that AWS is to be asked less often. Others are about one command only.
func overloaded(err error) bool {
	if err == nil {
		return false
	}
	class := Classify(err)
	return class == Throttled || class == Unavailable
}

// dueAfter is when a command that was just read is to be read next. The deadline is kept in any case.
func (t *Tracker) dueAfter(c *tracked) time.Time {
	now := t.clock.Now()
	due := now.Add(c.pause(now))
	if c.Deadline.After(now) && c.Deadline.Before(due) {
		return c.Deadline
	}
	return due
}

// pause is the time between two looks at a command.
func (c *tracked) pause(now time.Time) time.Duration {
	age := now.Sub(c.since)
	switch {
	case c.Err != nil && !overloaded(c.Err):
		return maxPollInterval
	case !c.Deadline.After(now):
		// Counts and lists did not agree yet.
		return pollInterval
	case c.Interval > 0:
		return c.Interval
	case c.Exceptions:
		return c.pauseForOthers(now)
	case age >= longAge:
		return longInterval
	case c.young(now):
		return youngInterval
	default:
		return pollInterval
	}
}

// pauseForOthers is the time between two looks at a command whose nodes have not all answered.
func (c *tracked) pauseForOthers(now time.Time) time.Duration {
	age := now.Sub(c.since)
	switch {
	case age < c.Expected:
		// Others have brought it along.
		return c.Expected - age
	case c.othersAnswered():
		return c.Deadline.Sub(now)
	default:
		// Whoever is not done by the time that was expected is waited for longer and longer.
		return max(pollInterval, 2*(age-c.Expected))
	}
}

// othersAnswered reports whether no more nodes have not answered than are offline, what the others have to say was read, and nothing
// has come since the look before: AWS may end offline nodes at once, and those that are missing are others then.
func (c *tracked) othersAnswered() bool {
	counts := c.Observation.Command
	_, failed, timedOut := c.ends()
	read := c.Err == nil && counts.Errors <= failed && counts.DeliveryTimedOut <= timedOut
	return c.Offline > 0 && c.still && read && !counts.Done() && counts.Targets > 0 && counts.Completed >= counts.Targets-c.Offline
}

// store keeps what a reading has found and tells whoever waits when it is news. One that was due earlier and came late, because of
// the budget or for the sake of others, says nothing of how long the command took after that; and a list that does not show the
// command says nothing of its counts.
func (t *Tracker) store(id string, r *reading, before, after Observation) {
	t.mu.Lock()
	c, ok := t.commands[id]
	if ok {
		same, at := after.Command.Completed == before.Command.Completed, r.askTime
		c.still = same && r.listed[id]
		if !same {
			after.Settled = at.Sub(c.since)
			if c.due.Before(at) {
				after.Settled = c.due.Sub(c.since)
			}
		}
		c.Observation = after
		c.due = t.dueAfter(c)
	}
	t.mu.Unlock()
	news := after.Done || after.Command.Status != before.Command.Status || len(after.PriorTimes) != len(before.PriorTimes) ||
		after.Command.Errors != before.Command.Errors
	if ok && news && c.Notify != nil {
		c.Notify()
	}
}
