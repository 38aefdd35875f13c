// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"
)

// steadyResult is what a healthy fleet costs.
type steadyResult struct {
	// span is how long it was measured, and rounds how many a policy has made in that time.
	span   time.Duration
	rounds float64
	// calls of Systems Manager in that time, by operation, and invocations.
	calls       map[string]int
	invocations int64
	// writes to the API server in that time, by resource.
	writes map[string]float64
	// cpu is what the manager has used, memory what it had at the end, and busy how much of the machine was at work.
	cpu    time.Duration
	memory memory
	busy   float64
}

// moment is what has been counted up to a time.
type moment struct {
	at          time.Time
	cpu         time.Duration
	invocations int64
	writes      map[string]float64
	machine     machineTime
}

func (r *run) moment(ctx context.Context) (moment, error) {
	m := moment{at: r.clock.Now(), invocations: r.server.Invocations()}
	var errs [3]error
	m.cpu, errs[0] = cpuTime(r.manager.PID())
	m.writes, errs[1] = r.writes(ctx)
	m.machine, errs[2] = machineTimes()
	return m, errors.Join(errs[:]...)
}

// since is what has happened since a moment.
func (r *run) since(ctx context.Context, from moment) (*steadyResult, error) {
	to, err := r.moment(ctx)
	if err != nil {
		return nil, err
	}
	s := &steadyResult{
		span: to.at.Sub(from.at), calls: byOperation(r.recorder.between(from.at, to.at)),
		invocations: to.invocations - from.invocations, writes: map[string]float64{}, cpu: to.cpu - from.cpu,
		busy: to.machine.share(from.machine),
	}
	s.rounds = r.rounds(from.at, to.at)
	for resource, count := range to.writes {
		if count > from.writes[resource] {
			s.writes[resource] = count - from.writes[resource]
		}
	}
	s.memory, err = memoryOf(r.manager.PID())
	return s, err
}

// rounds is how many rounds of probes a policy has made in a time: fewer than it should where it is late. One that watches makes
// none; there it is the time that counts.
func (r *run) rounds(from, to time.Time) float64 {
	if r.row.watch {
		return to.Sub(from).Seconds() / period.Seconds()
	}
	return r.coverage.between(from, to).mean
}

// fewRounds is how many are enough for counts.
const fewRounds = 5

// leastOnTime is how many of a hundred rounds have to be made in time. One may lie across the end of what is measured.
const leastOnTime = 90

// measured measures so many rounds, or fewer with -bounded.
func measured(rounds int) phase {
	return func(ctx context.Context, r *run) error {
		span := time.Duration(rounds) * period
		if r.bounded {
			span = min(span, fewRounds*period)
		}
		from, err := r.moment(ctx)
		if err != nil {
			return err
		}
		if err := r.sleep(ctx, span); err != nil {
			return err
		}
		s, err := r.since(ctx, from)
		if err != nil {
			return err
		}
		r.result.steady = s
		r.result.atLeast("rounds that were made, of those due", 100*s.onTime(), leastOnTime, "%", timed)
		if len(s.writes) > 0 {
			r.result.tell("writes to the API server, by resource", "%s", countsOf(s.writes))
		}
		return nil
	}
}

// steady measures so many rounds of a fleet to which nothing happens. Each may make so many calls at most, or 0 for any number.
func steady(rounds int, limit float64) phase {
	return func(ctx context.Context, r *run) error {
		if err := measured(rounds)(ctx, r); err != nil {
			return err
		}
		s := r.result.steady
		if limit > 0 {
			r.result.atMost("SSM calls a round", s.perRound(s.allCalls()), limit, "", counted)
		}
		// What is written at the beginning of an interval and at its end is one write more.
		allowed := float64(r.row.policies) * (1 + time.Minute.Seconds()/s.span.Seconds())
		r.result.atMost("writes to the API server a minute", s.perMinute(s.allWrites()), allowed, "", counted)
		return nil
	}
}

// frugal checks what the manager itself has needed.
func frugal(_ context.Context, r *run) error {
	s := r.result.steady
	r.result.atMost("CPU seconds a minute", s.perMinute(s.cpu.Seconds()), halfACore, "s", timed)
	m, err := memoryOf(r.manager.PID())
	r.result.atMost("peak memory", megabytes(m.peak), mostMemory, "MB", timed)
	return err
}

func (s *steadyResult) allCalls() float64 {
	sum := 0
	for _, n := range s.calls {
		sum += n
	}
	return float64(sum)
}

func (s *steadyResult) allWrites() float64 {
	sum := 0.0
	for _, n := range s.writes {
		sum += n
	}
	return sum
}

// perRound is a count by round of probes. Where none was made at all, everything was for naught, and stands for one.
func (s *steadyResult) perRound(count float64) float64 {
	if s.rounds == 0 {
		return count
	}
	return count / s.rounds
}

// onTime is how many of the rounds were made that should have been.
func (s *steadyResult) onTime() float64 { return s.rounds * period.Seconds() / s.span.Seconds() }

func (s *steadyResult) perMinute(count float64) float64 {
	return count * time.Minute.Seconds() / s.span.Seconds()
}

func (s *steadyResult) perDay(count float64) float64 {
	return count * (24 * time.Hour).Seconds() / s.span.Seconds()
}
