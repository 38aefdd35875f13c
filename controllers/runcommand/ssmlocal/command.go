// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"slices"
	"strings"
	"time"
)

// command is one SendCommand that was accepted.
type command struct {
	id  string
	seq int64
	// request is echoed in answers.
	request   *sendCommandRequest
	program   program
	requested time.Time
	// visible is when reads begin to see the command.
	visible  time.Time
	delivery time.Duration
	expires  time.Time
	// undeliverableRan says that the command runs although it ends as Undeliverable.
	undeliverableRan bool

	// invocations are ordered by instance id, and never move: pointers to them stay good.
	invocations []invocation
	// count has the number of invocations by details.
	count [detailsCount]int

	maxConcurrency int
	maxErrors      int
	rampState
}

// invocation is a command on one instance.
type invocation struct {
	command    *command
	instance   *instance
	details    details
	dispatched bool
	released   bool
	// code is that of steps without a result.
	code int
	// results are of the steps, as far as the agent has told.
	results []result
	// job is the execution while it runs or waits for the agent.
	job *job
}

// find is the invocation on an instance, or nil.
func (c *command) find(instanceID string) *invocation {
	if at, found := c.search(instanceID); found {
		return &c.invocations[at]
	}
	return nil
}

// search is the index of the invocation on an instance.
func (c *command) search(instanceID string) (at int, found bool) {
	return slices.BinarySearchFunc(c.invocations, instanceID, func(i invocation, id string) int {
		return strings.Compare(i.instance.ID, id)
	})
}

// step is what is known about a step.
func (i *invocation) step(n int) result {
	if n < len(i.results) && i.results[n].details.final() {
		return i.results[n]
	}
	r := result{details: i.details, code: i.code}
	switch {
	case n < len(i.results):
		r.start = i.results[n].start
	case n > 0 && !i.details.final():
		r.details = pending
	}
	return r
}

// set changes the details of an invocation, and keeps the counts.
func (i *invocation) set(d details) {
	i.command.count[i.details]--
	i.details = d
	i.command.count[d]++
}

// finish gives an invocation its final status and lets the command go on. A later answer changes nothing.
func (s *Server) finish(i *invocation, d details, code int) {
	if i.details.final() {
		return
	}
	i.set(d)
	i.code = code
	i.job = nil
	s.ended(i)
}

// expireDelivery is called when TimeoutSeconds have passed: what has not reached its node by then never will.
func (s *Server) expireDelivery(c *command) {
	c.next = len(c.invocations)
	for i := range c.invocations {
		if c.invocations[i].details == pending {
			s.finish(&c.invocations[i], deliveryTimedOut, noAnswer)
		}
	}
}

// expire is called when the time of the whole command is up, so that a node that never answered does not leave it open.
func (s *Server) expire(c *command) {
	for i := range c.invocations {
		switch c.invocations[i].details {
		case cancelling:
			s.finish(&c.invocations[i], cancelled, noAnswer)
		case inProgress:
			s.finish(&c.invocations[i], executionTimedOut, noAnswer)
		default:
		}
	}
}
