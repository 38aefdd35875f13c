// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"strings"
	"time"
)

// Kind says why the agent ran a script.
type Kind string

const (
	// Run is the first execution of a command on an instance.
	Run Kind = "Run"
	// Rerun is an execution after a reboot that the script asked for by exit status 194.
	Rerun Kind = "Rerun"
	// Replay is an execution of a command that the agent had persisted, after its restart. It is not reported.
	Replay Kind = "Replay"
)

// maxRuns is how often the agent starts a script that keeps asking for a reboot.
const maxRuns = 15

// Execution is one run of a command's script on an instance.
type Execution struct {
	CommandID  string
	InstanceID string
	Comment    string
	// Script is the parameter commands, joined with newlines.
	Script           string
	WorkingDirectory string
	// Timeout is the executionTimeout after which the agent kills the script.
	Timeout time.Duration
	// Start is the time on the server's clock.
	Start time.Time
	Kind  Kind
}

// Runner runs the commands of an instance: a *Local with real processes, or a Scripted function.
type Runner interface {
	// start begins an execution, with the lock held, and has Server.complete called when it has ended.
	start(s *Server, j *job, e Execution)
}

// job is a command at the agent of an instance.
type job struct {
	invocation *invocation
	instance   *instance
	command    *command
	kind       Kind
	entry      *Entry
	runs       int
	// cancel, when set, ends a running execution; complete is called all the same.
	cancel    func()
	cancelled bool
	ended     bool
}

// run starts the script of a job on a worker that is free.
func (s *Server) run(j *job) {
	j.runs++
	kind := j.kind
	if j.runs > 1 {
		kind = Rerun
	}
	c := j.command
	if j.kind == Run && j.runs == 1 {
		j.invocation.start = s.now
	}
	j.entry = s.record(j, kind)
	j.instance.Runner.start(s, j, Execution{
		CommandID:        c.id,
		InstanceID:       j.instance.ID,
		Comment:          c.request.Comment,
		Script:           c.script.text,
		WorkingDirectory: c.script.workingDirectory,
		Timeout:          c.script.timeout,
		Start:            s.now,
		Kind:             kind,
	})
}

// complete takes the end of an execution: it is recorded, run again when it asked for a reboot, and otherwise reported.
func (s *Server) complete(j *job, e ending) {
	if j.ended {
		return
	}
	answer := e.answer()
	j.entry.End = s.now
	j.entry.ExitCode = answer.code
	if e.wantsReboot() && !j.cancelled && j.runs < maxRuns {
		j.instance.reboots++
		s.run(j)
		return
	}
	j.ended = true
	s.report(j, answer)
	s.dequeue(j.instance)
}

// report is the agent's last answer. One that comes too late changes nothing, and a replay has none.
func (s *Server) report(j *job, a answer) {
	i := j.invocation
	if j.kind == Replay || i.details.final() {
		return
	}
	i.end = s.now
	i.stdout = cut(strings.ToValidUTF8(a.stdout, "\uFFFD"), stdoutLimit)
	i.stderr = cut(strings.ToValidUTF8(a.stderr, "\uFFFD"), stderrLimit)
	s.finish(i, a.details, a.code)
}
