// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"sync"
	"time"
)

// Forecast makes an Outcome one that may still become another: that of a script which ends when it sees something happen to
// its node. The runner is not asked again until it has told that something happens, so that thousands of them cost nothing.
// An execution that others end before has printed nothing.
type Forecast struct {
	// Renew returns the Outcome that is to be expected now, which is the time that it gets, on the server's clock. Its Delay is
	// from the start of the execution; an end that would lie in the past comes at once. Like the runner itself it is called
	// with the server's lock held, and must not call the server. It cannot take the answer away (NoAnswer), order a Reboot, or
	// bring another Forecast.
	Renew func(now time.Time) Outcome

	mu sync.Mutex
	// early are the times that were told before the server had the Outcome, and tell is the way to it from then on.
	early []time.Time
	tell  func(at time.Time)
}

// Changed tells that the Outcome may be another one from a time on, by the server's clock; zero is now. It may be called at
// any time, with the server's lock held or without, even before the Outcome is returned. When the execution has ended it
// changes nothing.
func (f *Forecast) Changed(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tell == nil {
		f.early = append(f.early, at)
		return
	}
	f.tell(at)
}

// follow has the server ask for the Outcome of an execution again whenever it may be another one.
func (s *Server) follow(j *job, e Execution, f *Forecast) {
	runs := j.runs
	renew := func() {
		if !j.ended && j.runs == runs {
			o := f.Renew(s.now)
			o.Forecast = f
			s.expect(j, e, o)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell = func(at time.Time) {
		if at.IsZero() {
			at = s.clock.Now()
		}
		s.news.add(event{at: at, do: renew})
	}
	for _, at := range f.early {
		f.tell(at)
	}
	f.early = nil
}

// news is what was told of forecasts since the last event. It has a lock of its own, because who tells may hold that of the
// server or not.
type news struct {
	mu     sync.Mutex
	events []event
}

func (n *news) add(e event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

func (n *news) take() []event {
	n.mu.Lock()
	defer n.mu.Unlock()
	events := n.events
	n.events = nil
	return events
}

// hear schedules what was told.
func (s *Server) hear() {
	for _, e := range s.news.take() {
		s.schedule(s.notPast(e.at), e.do)
	}
}

// notPast is a time, or now when that is over.
func (s *Server) notPast(at time.Time) time.Time {
	if at.Before(s.now) {
		return s.now
	}
	return at
}
