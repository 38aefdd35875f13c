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
	case n.Connection != Online:
		n.waiting = append(slices.DeleteFunc(n.waiting, func(o *invocation) bool { return o.details.final() }), i)
	default:
		s.acknowledge(i)
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

// enqueue runs a job, or lets it wait for one of the agent's workers.
func (s *Server) enqueue(j *job) {
	if j.instance.running >= s.workers {
		j.instance.queue = append(j.instance.queue, j)
		return
	}
	j.instance.running++
	s.run(j)
}

// dequeue gives a worker that is free its next job.
func (s *Server) dequeue(n *instance) {
	n.running--
	if len(n.queue) == 0 {
		return
	}
	next := n.queue[0]
	n.queue = n.queue[1:]
	n.running++
	s.run(next)
}
