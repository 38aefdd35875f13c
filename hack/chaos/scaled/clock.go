// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scaled is a clock that runs faster than the real one, in step over several processes: an incident of minutes
// then takes seconds, and a thousand of them fit into a test.
package scaled

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"k8s.io/utils/clock"
)

// The environment variables by which a process gets the clock of the one that started it: when the clocks parted, in
// nanoseconds since 1970, and how many times faster ours runs since.
const (
	EpochVariable  = "SCALED_CLOCK_EPOCH"
	FactorVariable = "SCALED_CLOCK_FACTOR"
)

// Clock shows the real time at its epoch, and from then on runs a number of times faster.
type Clock struct {
	epoch  time.Time
	factor int
}

var _ clock.WithTicker = (*Clock)(nil)

// New returns a clock that parts from the real one now. A factor under 1 is taken for 1.
func New(factor int) *Clock {
	// Without the monotonic reading, which other processes do not have.
	return &Clock{epoch: time.Now().Round(0), factor: max(factor, 1)}
}

// FromEnvironment returns the clock that Environment described.
func FromEnvironment() (*Clock, error) {
	epoch, err := strconv.ParseInt(os.Getenv(EpochVariable), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", EpochVariable, err)
	}
	factor, err := strconv.Atoi(os.Getenv(FactorVariable))
	if err != nil || factor < 1 {
		return nil, fmt.Errorf("reading %s: %q is not a number from 1 on", FactorVariable, os.Getenv(FactorVariable))
	}
	return &Clock{epoch: time.Unix(0, epoch), factor: factor}, nil
}

// Environment is what another process needs to have the same clock.
func (c *Clock) Environment() []string {
	return []string{
		EpochVariable + "=" + strconv.FormatInt(c.epoch.UnixNano(), 10),
		FactorVariable + "=" + strconv.Itoa(c.factor),
	}
}

// Real is how long a time of this clock really takes.
func (c *Clock) Real(d time.Duration) time.Duration { return d / time.Duration(c.factor) }

// Now is the time.
func (c *Clock) Now() time.Time {
	return c.epoch.Add(time.Duration(c.factor) * time.Now().Round(0).Sub(c.epoch))
}

// Since is the time that has passed since then.
func (c *Clock) Since(then time.Time) time.Duration { return c.Now().Sub(then) }

// Sleep waits.
func (c *Clock) Sleep(d time.Duration) { time.Sleep(c.Real(d)) }

// Wait waits, or until ctx ends.
func (c *Clock) Wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}

// After returns the channel of a new timer.
func (c *Clock) After(d time.Duration) <-chan time.Time { return c.NewTimer(d).C() }

// NewTimer returns a timer that fires after d. What its channel gets is real time, which nobody looks at.
func (c *Clock) NewTimer(d time.Duration) clock.Timer {
	return &timer{clock.RealClock{}.NewTimer(c.Real(d)), c}
}

// Tick returns the channel of a new ticker.
func (c *Clock) Tick(d time.Duration) <-chan time.Time { return c.NewTicker(d).C() }

// NewTicker returns a ticker that fires every d. What its channel gets is real time, which nobody looks at.
func (c *Clock) NewTicker(d time.Duration) clock.Ticker {
	return clock.RealClock{}.NewTicker(max(c.Real(d), 1))
}

type timer struct {
	clock.Timer
	clock *Clock
}

func (t *timer) Reset(d time.Duration) bool { return t.Timer.Reset(t.clock.Real(d)) }
