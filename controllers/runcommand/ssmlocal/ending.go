// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"fmt"
	"strings"
	"time"
)

// Exit statuses that mean something to the agent on Linux.
const (
	exitSuccess       = 168
	exitFailure       = 169
	exitReboot        = 194
	exitKilled        = 137
	noAnswer          = -1
	failurePrefix     = "failed to run commands: "
	exitSuccessNotice = "Step exited with code 168. Therefore, marking step as succeeded. " +
		"Further document steps will be skipped."
)

// ending is how an execution ended on the node.
type ending struct {
	// code is the exit status of the script when nothing below is set.
	code int
	// problem is what the agent says when the script was not started, or was ended by a signal; problemCode goes with it.
	problem     string
	problemCode int
	timedOut    bool
	cancelled   bool
	stdout      string
	stderr      string
}

// skippedNotice is the output of a step that is not run after one that ended the document.
func skippedNotice(step string) string {
	return "Plugin with name aws:runShellScript and id " + step + " skipped due to prior step with an exit condition"
}

// answer is what the agent makes of it.
type answer struct {
	details        details
	code           int
	stdout, stderr string
}

// answer applies the agent's rules for exit statuses.
func (e ending) answer() answer {
	a := answer{details: failed, code: e.code, stdout: e.stdout, stderr: e.stderr}
	switch {
	case e.cancelled:
		a.details, a.code = cancelled, exitKilled
	case e.timedOut:
		a.details, a.code = executionTimedOut, exitKilled
	case e.problem != "":
		a.code = e.problemCode
		a.stderr += failurePrefix + e.problem
	case e.code == 0:
		a.details = success
	case e.code == exitSuccess:
		a.details, a.stdout, a.stderr = success, a.stdout+exitSuccessNotice, ""
	case e.code == exitKilled:
		// The agent takes this status for its own kill at the time-out.
		a.details = executionTimedOut
	default:
		a.stderr += fmt.Sprintf("%sexit status %d", failurePrefix, e.code)
	}
	return a
}

// result is the answer with its times, and as much of the output as AWS keeps.
func (e ending) result(start, end time.Time) result {
	a := e.answer()
	return result{
		details: a.details, code: a.code, start: start, end: end,
		stdout: cut(strings.ToValidUTF8(a.stdout, "\uFFFD"), stdoutLimit),
		stderr: cut(strings.ToValidUTF8(a.stderr, "\uFFFD"), stderrLimit),
	}
}

// wantsReboot says that the script asked to be run again after a reboot.
func (e ending) wantsReboot() bool {
	return e.code == exitReboot && e.problem == "" && !e.timedOut && !e.cancelled
}
