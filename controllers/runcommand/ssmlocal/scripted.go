// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import "time"

// Outcome is what a Scripted execution comes to.
type Outcome struct {
	// Delay is how long it takes. More than the execution time-out is ended there, as TimedOut.
	Delay    time.Duration
	ExitCode int
	Stdout   string
	Stderr   string
	// NoAnswer is an agent that dies with the command: it stays InProgress until its whole time is up.
	NoAnswer bool
}

// Scripted runs commands without processes. It is called at the start of each execution, with the server's lock held: it
// must not call the server.
type Scripted func(Execution) Outcome

// Healthy is a Scripted runner that succeeds at once without output.
func Healthy(Execution) Outcome { return Outcome{} }

func (f Scripted) start(s *Server, j *job, e Execution) {
	o := f(e)
	if o.NoAnswer {
		j.ended = true
		s.schedule(s.now, func() { s.dequeue(j.instance) })
		return
	}
	end := ending{code: o.ExitCode, stdout: o.Stdout, stderr: o.Stderr}
	if o.Delay > e.Timeout {
		o.Delay = e.Timeout
		end.timedOut = true
	}
	j.cancel = func() { s.complete(j, ending{cancelled: true, stdout: o.Stdout, stderr: o.Stderr}) }
	s.schedule(s.now.Add(o.Delay), func() { s.complete(j, end) })
}
