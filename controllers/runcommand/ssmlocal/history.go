// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// walk walks the commands that reads see, the newest first: the one with an id, or those that a selection and the position
// of a page leave. It begins with the command of the position. How long it takes does not depend on the rest of the history.
func (s *Server) walk(id string, sel selection, from position, reverse bool) iter.Seq[*command] {
	commands := s.window(sel, from, reverse)
	if id != "" {
		commands = nil
		if c := s.byID[id]; c != nil {
			commands = []*command{c}
		}
	}
	return func(yield func(*command) bool) {
		for n := range commands {
			c := commands[len(commands)-1-n]
			if reverse {
				c = commands[n]
			}
			if !c.visible.After(s.now) && !yield(c) {
				return
			}
		}
	}
}

// window is the part of the commands that was sent within the times of a selection, from the position of a page on. Both
// times and numbers of commands only grow.
func (s *Server) window(sel selection, from position, reverse bool) []*command {
	first, last := 0, len(s.commands)
	if !sel.after.IsZero() {
		first = s.firstAt(sel.after)
	}
	if !sel.before.IsZero() {
		last = s.firstAt(sel.before)
	}
	if from.seq > 0 {
		at, found := slices.BinarySearchFunc(s.commands, from.seq, func(c *command, seq int64) int { return cmp.Compare(c.seq, seq) })
		switch {
		case reverse:
			first = max(first, at)
		case found:
			last = min(last, at+1)
		default:
			last = min(last, at)
		}
	}
	return s.commands[min(first, last):last]
}

// firstAt is the index of the first command that was sent at a time or later.
func (s *Server) firstAt(t time.Time) int {
	at, _ := slices.BinarySearchFunc(s.commands, t, func(c *command, t time.Time) int { return c.requested.Compare(t) })
	return at
}

// forget drops the commands and executions from before a time.
func (s *Server) forget(before time.Time) {
	for len(s.commands) > 0 && s.commands[0].requested.Before(before) {
		delete(s.byID, s.commands[0].id)
		s.commands[0] = nil
		s.commands = s.commands[1:]
	}
	for len(s.ledger) > 0 && s.ledger[0].Start.Before(before) {
		s.ledger[0] = nil
		s.ledger = s.ledger[1:]
	}
}
