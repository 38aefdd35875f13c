// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import "slices"

// dispatch sends an invocation on its way to the node.
func (s *Server) dispatch(i *invocation) {
	if s.ackDelay == 0 {
		s.deliver(i)
		return
	}
	s.schedule(s.now.Add(s.ackDelay), func() { s.deliver(i) })
	if _, real := i.instance.Runner.(*Local); real {
		s.wake(s.ackDelay)
	}
}

// deliver gives an invocation to its node, or to what stands for one that does not answer.
func (s *Server) deliver(i *invocation) {
	if i.details.final() {
		return
	}
	n := i.instance
	switch {
	case n.PlatformType != "Linux":
		s.finish(i, invalidPlatform, noAnswer)
	case n.Connection == Undeliverable:
		s.finish(i, undeliverable, noAnswer)
	case n.Connection == UndeliverableRan, i.command.undeliverableRan && n.answers():
		s.finish(i, undeliverable, noAnswer)
		s.enqueue(&job{invocation: i, instance: n, command: i.command, kind: Run, silent: true})
	case !n.answers():
		n.waiting = append(slices.DeleteFunc(n.waiting, func(o *invocation) bool { return o.details.final() }), i)
	default:
		s.acknowledge(i)
	}
}

// deliverWaiting delivers what was sent while a node did not answer.
func (s *Server) deliverWaiting(n *instance) {
	waiting := n.waiting
	n.waiting = nil
	for _, i := range waiting {
		s.deliver(i)
	}
}

// acknowledge is the agent's first answer: it has the command, and runs it as soon as a worker is free.
func (s *Server) acknowledge(i *invocation) {
	i.set(inProgress)
	i.job = &job{invocation: i, instance: i.instance, command: i.command, kind: Run}
	if s.rampUp == RampUpOnAcknowledgement {
		i.release()
	}
	s.enqueue(i.job)
	s.ramp(i.command)
}
