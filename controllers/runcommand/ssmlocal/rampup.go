// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

// RampUp is what the next wave of a command waits for. AWS tells it both ways.
type RampUp int

const (
	// RampUpOnAcknowledgement sends the next wave when the nodes of the last one have acknowledged the command.
	RampUpOnAcknowledgement RampUp = iota
	// RampUpOnCompletion sends the next wave when the nodes of the last one have ended the command.
	RampUpOnCompletion
)

// rampState is how far a command has been sent. Each node that is done makes room for two more, so that a command starts
// with 1 node and goes on with 2, 4, ... up to MaxConcurrency.
type rampState struct {
	// next is the first invocation that was not dispatched.
	next int
	// inFlight were dispatched and have not ended; at most maxConcurrency.
	inFlight int
	// unreleased were dispatched and hold back the next wave; at most window.
	unreleased, window int
	ramping            bool
}

// ramp dispatches what may be dispatched now. It is called again, from inside, when a node answers at once.
func (s *Server) ramp(c *command) {
	if c.ramping {
		return
	}
	c.ramping = true
	for c.next < len(c.invocations) && c.inFlight < c.maxConcurrency && c.unreleased < c.window {
		i := &c.invocations[c.next]
		c.next++
		if i.details.final() {
			continue
		}
		i.dispatched = true
		c.inFlight++
		c.unreleased++
		s.dispatch(i)
	}
	c.ramping = false
}

// release lets the next wave go on.
func (i *invocation) release() {
	if i.released {
		return
	}
	i.released = true
	i.command.unreleased--
	i.command.window = min(i.command.window+1, i.command.maxConcurrency)
}

// ended takes an invocation that has its final status out of the ramp-up, stops the command when there were too many
// errors, and otherwise goes on with it.
func (s *Server) ended(i *invocation) {
	c := i.command
	if i.dispatched {
		c.inFlight--
		i.release()
	}
	if c.errors() > c.maxErrors {
		for ; c.next < len(c.invocations); c.next++ {
			if rest := &c.invocations[c.next]; !rest.details.final() {
				rest.set(terminated)
				rest.code = noAnswer
			}
		}
	}
	s.ramp(c)
}
