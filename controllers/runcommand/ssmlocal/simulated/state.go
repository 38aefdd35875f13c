// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"slices"
	"time"
)

// Process is what has become of the process that is watched.
type Process string

const (
	// Running is a process that is up.
	Running Process = "Running"
	// Crashed is one that a failure has ended.
	Crashed Process = "Crashed"
	// Stopped is one that was stopped in order, or not started since the boot.
	Stopped Process = "Stopped"
)

// state is how the node is at a moment.
type state struct {
	at      time.Time
	process Process
	// boot counts the boots. The next one begins when the node goes down.
	boot   int
	booted time.Time
	off    bool
	// next is how it comes up again, and returns when; zero for never.
	next    Boot
	returns time.Time
	// starts is when the boot will have started the process; zero for never.
	starts time.Time
}

// change is something that happens to the node at a time, in a given boot only, unless that is 0.
type change struct {
	at    time.Time
	boot  int
	by    *plan
	apply func(*state)
}

// schedule puts a change into its place, after those of the same time.
func (n *Node) schedule(c change) {
	i, _ := slices.BinarySearchFunc(n.changes, c.at, func(other change, at time.Time) int {
		if other.at.After(at) {
			return 1
		}
		return -1
	})
	n.changes = slices.Insert(n.changes, i, c)
}

// advance lets time pass, and returns the changes that are still to come. A time that is over changes nothing.
func (s *state) advance(changes []change, to time.Time) []change {
	for {
		own, due := s.own(to)
		if len(changes) > 0 && !changes[0].at.After(to) && (!due || !changes[0].at.After(own)) {
			s.reach(changes[0].at)
			if changes[0].boot == 0 || changes[0].boot == s.boot {
				changes[0].apply(s)
			}
			changes = changes[1:]
			continue
		}
		if !due {
			s.reach(to)
			return changes
		}
		s.reach(own)
		s.happen()
	}
}

// own is when the next thing happens that the node does by itself, if that is up to a time.
func (s *state) own(to time.Time) (at time.Time, due bool) {
	at = s.starts
	if s.off {
		at = s.returns
	}
	return at, !at.IsZero() && !at.After(to)
}

func (s *state) reach(at time.Time) {
	if at.After(s.at) {
		s.at = at
	}
}

// happen does what own tells of.
func (s *state) happen() {
	if !s.off {
		s.process, s.starts = Running, time.Time{}
		return
	}
	s.off, s.booted, s.returns = false, s.at, time.Time{}
	if s.next.Starts {
		s.starts = s.at.Add(s.next.After)
	}
}

// turn is a change of the process, which a node that is off does not have.
func turn(to Process) func(*state) {
	return func(s *state) {
		if !s.off {
			s.process = to
		}
	}
}

// uptime is whole seconds since boot, as /proc/uptime begins.
func (s *state) uptime() int64 {
	return int64(s.at.Sub(s.booted) / time.Second)
}
