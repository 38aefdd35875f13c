// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"slices"
	"time"
)

// maxRuns is how often the agent starts a document that keeps asking for a reboot, or that it keeps finding as running.
const maxRuns = 15

// job is a command at the agent of an instance.
type job struct {
	invocation *invocation
	instance   *instance
	command    *command
	// kind is that of the execution that runs, or is to run next.
	kind Kind
	// silent says that the agent gives no answer.
	silent bool
	entry  *Entry
	// results are of the steps so far: the last one may be running.
	results []result
	runs    int
	// expected numbers the outcomes that a Scripted runner has given. The last one counts.
	expected int
	// cancel, when set, ends a running step; complete is called all the same.
	cancel func()
	// gone is closed when the processes of a Local runner have ended; nil for others.
	gone      chan struct{}
	cancelled bool
	// ended says that nothing of it runs any more.
	ended bool
}

// result is what became of a step.
type result struct {
	// details is inProgress or final.
	details        details
	code           int
	start, end     time.Time
	stdout, stderr string
}

// run starts an execution of a job on a worker that is free.
func (s *Server) run(j *job) {
	j.runs++
	j.entry = s.record(j)
	s.startStep(j)
}

// startStep starts the step that was running, or else the one after the last result.
func (s *Server) startStep(j *job) {
	n := len(j.results)
	if n > 0 && j.results[n-1].details == inProgress {
		n--
	} else {
		j.results = append(j.results, result{details: inProgress, code: noAnswer, start: s.now})
	}
	s.report(j)
	c, step := j.command, j.command.program.steps[n]
	j.instance.Runner.start(s, j, Execution{
		CommandID:        c.id,
		InstanceID:       j.instance.ID,
		Comment:          c.request.Comment,
		DocumentName:     c.program.document,
		Parameters:       c.program.parameters,
		Step:             step.name,
		StepIndex:        n,
		Script:           step.script,
		WorkingDirectory: step.workingDirectory,
		Timeout:          step.timeout,
		Start:            s.now,
		NodeTime:         s.now.Add(j.instance.ClockSkew),
		Kind:             j.kind,
	})
}

// complete takes the end of a step: it is run again when it asked for a reboot, and otherwise the next one is.
func (s *Server) complete(j *job, e ending) {
	if j.ended {
		return
	}
	if e.wantsReboot() && !j.cancelled && j.runs < maxRuns {
		j.entry.End, j.entry.ExitCode = s.now, exitReboot
		j.instance.reboots++
		j.kind = Rerun
		s.run(j)
		return
	}
	running := &j.results[len(j.results)-1]
	*running = e.result(running.start, s.now)
	if j.skip() {
		s.startStep(j)
		return
	}
	j.ended = true
	j.entry.End, j.entry.ExitCode = s.now, codeOf(j.results)
	s.report(j)
	if j.instance.stopped {
		j.instance.unreported = append(j.instance.unreported, j)
	}
	s.dequeue(j)
}

// skip gives their results to the steps that are not to run any more, and reports whether there is one to run.
func (j *job) skip() (next bool) {
	exits := slices.ContainsFunc(j.results, func(r result) bool { return r.code == exitSuccess || r.code == exitFailure })
	for _, step := range j.command.program.steps[len(j.results):] {
		switch {
		case j.cancelled:
			j.results = append(j.results, result{details: cancelled, code: cancelledBeforeStart})
		case exits:
			j.results = append(j.results, result{details: success, stdout: skippedNotice(step.name)})
		default:
			return true
		}
	}
	return false
}

// report is the agent's answer as far as it goes. One that comes too late changes nothing.
func (s *Server) report(j *job) {
	i := j.invocation
	if j.silent || j.instance.stopped || i.details.final() {
		return
	}
	i.results = slices.Clone(j.results)
	if j.ended {
		s.finish(i, overall(i.results), noAnswer)
	}
}

// overall is the status of a document by those of its steps, in the order of precedence that AWS and the agent have.
func overall(results []result) details {
	for _, d := range []details{failed, executionTimedOut, cancelled} {
		if slices.ContainsFunc(results, func(r result) bool { return r.details == d }) {
			return d
		}
	}
	return success
}

// codeOf is the code of the first step that did not succeed, else of the last.
func codeOf(results []result) int {
	if bad := slices.IndexFunc(results, func(r result) bool { return r.details != success }); bad >= 0 {
		return results[bad].code
	}
	return results[len(results)-1].code
}
