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
	// Killed is called when the execution ends before its Delay has passed: cancelled, timed out, or with its node. It gets
	// the time on the server's clock. Like the runner itself it must not call the server.
	Killed func(at time.Time)
	// Reboot makes the node go down and come up again.
	Reboot *Reboot
	// Forecast is set when what happens to the node may still change the outcome.
	Forecast *Forecast
}

// Reboot is how long a node is gone: its agent stops with all that it runs (ScriptsDie), and starts again later.
type Reboot struct {
	// After is from the start of the execution until the node goes down, which may be before or after the execution's end.
	After time.Duration
	// Down is from then until its agent answers again.
	Down time.Duration
}

// Scripted runs commands without processes. It is called at the start of each step of an execution, with the server's lock
// held: it must not call the server.
type Scripted func(Execution) Outcome

// Healthy is a Scripted runner that succeeds at once without output.
func Healthy(Execution) Outcome { return Outcome{} }

func (f Scripted) start(s *Server, j *job, e Execution) {
	o := f(e)
	if o.NoAnswer {
		j.ended, j.silent = true, true
		s.schedule(s.now, func() { s.dequeue(j) })
		return
	}
	if o.Reboot != nil {
		s.scheduleReboot(j.instance, *o.Reboot)
	}
	s.expect(j, e, o)
	if o.Forecast != nil {
		s.follow(j, e, o.Forecast)
	}
}

// expect has an outcome come about, unless another one is expected by then.
func (s *Server) expect(j *job, e Execution, o Outcome) {
	j.expected++
	this := j.expected
	end := ending{code: o.ExitCode, stdout: o.Stdout, stderr: o.Stderr}
	if o.Delay > e.Timeout {
		o.Delay = e.Timeout
		end.timedOut = true
	}
	killed := func() {
		if o.Killed != nil {
			o.Killed(s.now)
		}
	}
	j.cancel = func() {
		killed()
		cut := ending{cancelled: true}
		if o.Forecast == nil {
			cut.stdout, cut.stderr = o.Stdout, o.Stderr
		}
		s.complete(j, cut)
	}
	s.schedule(s.notPast(e.Start.Add(o.Delay)), func() {
		if j.expected != this {
			return
		}
		if end.timedOut && !j.ended {
			killed()
		}
		s.complete(j, end)
	})
}

func (s *Server) scheduleReboot(n *instance, r Reboot) {
	down := s.now.Add(r.After)
	s.schedule(down, func() { s.stopAgent(n, ScriptsDie) })
	s.schedule(down.Add(r.Down), func() { s.startAgent(n) })
}
