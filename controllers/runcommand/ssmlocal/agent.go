// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"slices"
	"time"
)

// agent is the agent of an instance: what it runs, and what it has persisted on its node.
type agent struct {
	stopped bool
	// running are on a worker each; queue is what waits for one.
	running, queue []*job
	// dropped were cancelled while they waited. They are still among the pending ones on the node's disk.
	dropped []*job
	// interrupted ran when the node went down.
	interrupted []*job
	// unreported have ended while nobody could answer.
	unreported []*job
}

// AgentStop says what becomes of the scripts that run when an agent stops.
type AgentStop int

const (
	// ScriptsGoOn is an agent that crashes or is stopped: what it has running goes on to its end.
	ScriptsGoOn AgentStop = iota
	// ScriptsDie is a node that loses its power or reboots. Of Local runners it kills the process groups only: what has left
	// them survives, unless its machine is stopped too.
	ScriptsDie
)

// StopAgent stops the agent of a node, and returns when what dies with it is dead. Nothing is answered from then on: commands
// that it has stay InProgress until their time is up, and new ones wait as with ConnectionLost. An id that is not known is
// ignored.
func (s *Server) StopAgent(id string, scripts AgentStop) {
	unlock := s.lock()
	var killed []*job
	if n := s.instances[id]; n != nil {
		killed = s.stopAgent(n, scripts)
	}
	unlock()
	for _, j := range killed {
		if j.gone == nil {
			continue
		}
		select {
		case <-j.gone:
		case <-s.ctx.Done():
		}
	}
}

// StartAgent starts the agent of a node again, with what it finds persisted there:
//
//   - what has ended, or is still running, meanwhile is answered;
//   - what was waiting for a worker runs (Replay), without a look at its age, and so does what was cancelled while it waited;
//   - what was running when the node went down runs again (Resume).
//
// An answer to a command that has its final status by then changes nothing. An id that is not known, and an agent that was
// not stopped, are ignored.
func (s *Server) StartAgent(id string) {
	defer s.lock()()
	if n := s.instances[id]; n != nil {
		s.startAgent(n)
	}
}

// stopAgent returns the jobs that it has killed.
func (s *Server) stopAgent(n *instance, scripts AgentStop) (killed []*job) {
	if n.answers() {
		n.lastPing = s.now
	}
	n.stopped = true
	if scripts == ScriptsGoOn {
		return nil
	}
	running := n.running
	n.running = nil
	for _, j := range running {
		if j.ended {
			continue
		}
		j.ended = true
		j.entry.End, j.entry.ExitCode = s.now, noAnswer
		killed = append(killed, j)
		j.cancel()
	}
	n.interrupted = append(n.interrupted, killed...)
	return killed
}

func (s *Server) startAgent(n *instance) {
	if !n.stopped {
		return
	}
	before := n.agent
	n.agent = agent{running: before.running}
	for _, j := range slices.Concat(before.unreported, before.running) {
		s.report(j)
	}
	for _, j := range slices.Concat(before.queue, before.dropped) {
		j.kind = Replay
		s.enqueue(j)
	}
	for _, j := range before.interrupted {
		if j.runs < maxRuns {
			s.enqueue(j.resumed())
		}
	}
	s.deliverWaiting(n)
}

// resumed is a job that goes on with the step that was interrupted.
func (j *job) resumed() *job {
	again := &job{
		invocation: j.invocation, instance: j.instance, command: j.command,
		kind: Resume, silent: j.silent, results: slices.Clone(j.results), runs: j.runs,
	}
	if j.invocation.job == j {
		j.invocation.job = again
	}
	return again
}

// enqueue runs a job, or lets it wait for one of the agent's workers.
func (s *Server) enqueue(j *job) {
	j.instance.queue = append(j.instance.queue, j)
	s.work(j.instance)
}

// dequeue frees the worker of a job, and gives it the next one.
func (s *Server) dequeue(j *job) {
	n := j.instance
	n.running = slices.DeleteFunc(n.running, func(other *job) bool { return other == j })
	s.work(n)
}

// work gives the workers that are free their next jobs.
func (s *Server) work(n *instance) {
	for !n.stopped && len(n.queue) > 0 && len(n.running) < s.workers {
		next := n.queue[0]
		n.queue = n.queue[1:]
		n.running = append(n.running, next)
		s.run(next)
	}
}

// drop takes a job that was cancelled out of the queue: the agent gives no answer to it. It reports whether it was waiting.
func (n *instance) drop(j *job, forget time.Time) bool {
	queued := slices.Index(n.queue, j)
	if queued < 0 {
		return false
	}
	n.queue = slices.Delete(n.queue, queued, queued+1)
	j.silent = true
	n.dropped = append(slices.DeleteFunc(n.dropped, func(old *job) bool { return old.command.requested.Before(forget) }), j)
	return true
}
