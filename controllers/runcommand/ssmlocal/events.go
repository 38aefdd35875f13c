// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"container/heap"
	"time"
)

// event is something that happens at a time, unless what it is about has changed by then.
type event struct {
	at time.Time
	// order keeps events of the same time in the order in which they were scheduled.
	order int64
	do    func()
}

// events is a heap, the earliest first.
type events struct {
	queue []event
	count int64
}

func (e *events) Len() int      { return len(e.queue) }
func (e *events) Swap(i, j int) { e.queue[i], e.queue[j] = e.queue[j], e.queue[i] }
func (e *events) Push(x any)    { e.queue = append(e.queue, x.(event)) }

func (e *events) Less(i, j int) bool {
	a, b := e.queue[i], e.queue[j]
	if a.at.Equal(b.at) {
		return a.order < b.order
	}
	return a.at.Before(b.at)
}

func (e *events) Pop() any {
	last := len(e.queue) - 1
	x := e.queue[last]
	e.queue[last] = event{}
	e.queue = e.queue[:last]
	return x
}

// schedule does something at a time, with the lock held and s.now at that time.
func (s *Server) schedule(at time.Time, do func()) {
	s.events.count++
	heap.Push(&s.events, event{at: at, order: s.events.count, do: do})
}

// advance replays the events up to now, and forgets what is older than the retention. A clock that was set back changes
// nothing.
func (s *Server) advance(now time.Time) {
	s.hear()
	for s.events.Len() > 0 && !s.events.queue[0].at.After(now) {
		due := heap.Pop(&s.events).(event)
		s.now = due.at
		due.do()
		s.hear()
	}
	if now.After(s.now) {
		s.now = now
	}
	s.forget(s.now.Add(-s.retention))
}

// wake advances at a time by itself. Local runners need it: nobody may look before a command is due to start.
func (s *Server) wake(after time.Duration) {
	timer := s.clock.NewTimer(after)
	s.spawn(func() {
		defer timer.Stop()
		select {
		case <-timer.C():
			s.lock()()
		case <-s.ctx.Done():
		}
	})
}
