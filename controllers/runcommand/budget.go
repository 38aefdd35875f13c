// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// BudgetOptions say how many calls may be made in each location. The zero value sets no limit and counts nothing.
type BudgetOptions struct {
	// PerSecond is how many calls a second may be made at most; 0 for no limit.
	PerSecond float64
	// Meter is told of all calls.
	Meter Meter
}

// Budget is what may be called of Systems Manager in one location: one budget for all policies, because AWS throttles an account
// as a whole. It never allows more than was configured, and less as long as AWS throttles.
//
// Whoever waits for a call does the work of the Budget, which has no goroutine of its own: one of those that wait keeps the time
// for all, and serves whose turn it is.
type Budget struct {
	clock clock.WithTicker
	meter Meter
	// keeping is full while somebody keeps the time.
	keeping chan struct{}

	mu    sync.Mutex
	pace  pace
	turns turns
}

// NewBudget returns a Budget.
func NewBudget(clk clock.WithTicker, o BudgetOptions) *Budget {
	b := &Budget{clock: clk, meter: o.Meter, keeping: make(chan struct{}, 1), pace: newPace(o.PerSecond)}
	if b.meter == nil {
		b.meter = unmetered{}
	}
	return b
}

// BudgetState is how a Budget stands.
type BudgetState struct {
	// PerSecond is how many calls a second are allowed at present, infinite without a limit.
	PerSecond float64
	// Throttled means that this is less than configured, because AWS throttles.
	Throttled bool
	// Waiting is how many calls wait, by Priority.
	Waiting [priorities]int
}

// State tells how the Budget stands.
func (b *Budget) State() BudgetState {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := BudgetState{PerSecond: b.pace.rate()}
	state.Throttled = state.PerSecond < b.pace.most
	for p, waiting := range b.turns.waiting {
		state.Waiting[p] = len(waiting)
	}
	return state
}

// Wait returns when a call may be made. The error says that there is to be none, because the context ended.
func (b *Budget) Wait(ctx context.Context, p Priority) error {
	if err := ctx.Err(); err != nil {
		return &noCallError{err}
	}
	if b.spendReserved(ctx) {
		return nil
	}
	began := b.clock.Now()
	err := b.wait(ctx, p)
	b.meter.Waited(p, b.clock.Since(began))
	if err != nil {
		return &noCallError{err}
	}
	return nil
}

func (b *Budget) wait(ctx context.Context, p Priority) error {
	w := &waiter{priority: p, served: make(chan struct{})}
	b.mu.Lock()
	b.turns.join(w)
	b.mu.Unlock()
	b.serve()
	select {
	case <-w.served:
		return nil
	default:
	}
	select {
	case <-ctx.Done():
	case <-w.served:
	case b.keeping <- struct{}{}:
		b.keepTime(ctx, w)
		<-b.keeping
	}
	if err := ctx.Err(); err != nil {
		b.leave(w)
		return err
	}
	return nil
}

// keepTime serves whoever waits, until the waiter itself is served or gives up.
func (b *Budget) keepTime(ctx context.Context, w *waiter) {
	for again := b.serve(); again > 0; again = b.serve() {
		timer := b.clock.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-w.served:
		case <-timer.C():
			continue
		}
		timer.Stop()
		return
	}
}

// serve serves as many as may call now, and returns after what time there is somebody to serve again; 0 when nobody waits.
func (b *Budget) serve() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	for b.turns.any() {
		if !b.pace.take(now) {
			return b.pace.delay(now)
		}
		close(b.turns.next().served)
	}
	return 0
}

// leave takes out a waiter that has given up. One that was served at the same moment hands its call on.
func (b *Budget) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turns.leave(w) {
		return
	}
	if next := b.turns.next(); next != nil {
		close(next.served)
	}
}

// begin numbers a call that is made now.
func (b *Budget) begin() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pace.begin()
}

// end takes in what AWS has answered to a call.
func (b *Budget) end(call int64, outcome Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := b.clock.Now(); outcome {
	case OutcomeOK:
		b.pace.passed(now)
	case OutcomeThrottled:
		b.pace.refused(call, now)
	case OutcomeError:
	}
}
