// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"fmt"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// lookInterval is the time from one look at the process to the next.
	lookInterval = 10 * time.Second
	// goingDown is how long after a reboot was ordered the first look waits: one that the node takes before it goes down is
	// not answered, and costs the time of a whole look.
	goingDown = 20 * time.Second
)

// lookCheck is how the process is looked at after the step. A node that has just booted is not excused any more.
func lookCheck(remediation *v1alpha1.Remediation) process.Check {
	how := check(remediation)
	how.StartupGrace = 0
	return how
}

// lookTime is how long a look is waited for: its delivery, and the longest that it runs.
func lookTime(remediation *v1alpha1.Remediation) time.Duration {
	return runcommand.MinDeliveryTimeout + process.ProbeTimeout(lookCheck(remediation))
}

// verifyEnd is when the process has to be healthy.
func verifyEnd(remediation *v1alpha1.Remediation) time.Time {
	run := commandOf(remediation, v1alpha1.CommandPurposeRun)
	return run.CompletionTime.Add(verifyTime(&remediation.Spec))
}

// lookDue is when to look next; last is nil before the first look. There is always one at the very end of the time, or after
// it.
func lookDue(remediation *v1alpha1.Remediation, last *look) time.Time {
	run, end := commandOf(remediation, v1alpha1.CommandPurposeRun), verifyEnd(remediation)
	due := run.CompletionTime.Time
	switch {
	case last != nil:
		due = last.begun.Add(lookInterval)
	case remediation.Spec.Step.Reboot != nil:
		due = due.Add(goingDown)
	}
	if due.After(end) && (last == nil || last.begun.Before(end)) {
		return end
	}
	return due
}

// releaseBy tells whether a look that begins now gives the node back. One whose document may still run keeps it: one that was given
// up, or that AWS calls undeliverable, which proves nothing.
func releaseBy(remediation *v1alpha1.Remediation, now time.Time) process.Release {
	status := runcommand.Status(commandOf(remediation, v1alpha1.CommandPurposeRun).Status)
	switch {
	case !status.Final(), status == runcommand.StatusUndeliverable:
		return process.ReleaseNever
	case now.Before(verifyEnd(remediation)):
		return process.ReleaseHealthy
	default:
		return process.ReleaseAlways
	}
}

// verified is what came of a document or a reboot, by the last look at the process; nil as long as another look may tell more.
func verified(remediation *v1alpha1.Remediation, last *look, now time.Time) *outcome {
	if last == nil || !last.over {
		return nil
	}
	run := commandOf(remediation, v1alpha1.CommandPurposeRun)
	passed := int(now.Sub(run.CompletionTime.Time) / time.Second)
	reboot := remediation.Spec.Step.Reboot != nil
	came := last.verdict != nil && rebooted(run, last.verdict, last.begun)
	switch {
	case last.healthy() && (came || !reboot):
		return &outcome{v1alpha1.ResultRecovered, fmt.Sprintf("%s; healthy after %d s", did(remediation), passed)}
	case !final(remediation, last, now):
		return nil
	case reboot:
		return rebootFailed(run, last, came, passed)
	default:
		return &outcome{documentResult(run), fmt.Sprintf("%s; still not healthy after %d s: %s", did(remediation), passed, last.found())}
	}
}

// final tells whether there are no more looks after this one: it was begun when the time was up. When it has brought no answer,
// others are tried for the time that one look may take.
func final(remediation *v1alpha1.Remediation, last *look, now time.Time) bool {
	end := verifyEnd(remediation)
	return !last.begun.Before(end) && (last.verdict != nil || !now.Before(end.Add(lookTime(remediation))))
}

// did says what was done.
func did(remediation *v1alpha1.Remediation) string {
	run, code := commandOf(remediation, v1alpha1.CommandPurposeRun), remediation.Status.ExitCode
	if remediation.Spec.Step.Reboot != nil {
		return "the node was rebooted"
	}
	switch status := runcommand.Status(run.Status); {
	case status == runcommand.StatusSuccess:
		return "the document ended well"
	case status == runcommand.StatusFailed && code != nil:
		return fmt.Sprintf("the document failed with exit code %d", *code)
	case status == runcommand.StatusFailed:
		return "the document failed"
	case status == runcommand.StatusExecutionTimedOut:
		return "the document was ended by its own time-out"
	case status == runcommand.StatusCancelled:
		return fmt.Sprintf("the document was cancelled; it had %v (timeoutSeconds)", stepTimeout(&remediation.Spec))
	case documentResult(run) == v1alpha1.ResultTimedOut:
		return fmt.Sprintf("the document did not end (%s); it had %v (timeoutSeconds)", status, stepTimeout(&remediation.Spec))
	default:
		return fmt.Sprintf("whether the document ran is not known (%s)", status)
	}
}

// documentResult is the result of a document after which the process is not healthy.
func documentResult(run *v1alpha1.CommandStatus) v1alpha1.Result {
	switch runcommand.Status(run.Status) {
	case runcommand.StatusSuccess:
		return v1alpha1.ResultIneffective
	case runcommand.StatusFailed:
		return v1alpha1.ResultFailed
	case runcommand.StatusExecutionTimedOut, runcommand.StatusCancelled, runcommand.StatusInProgress,
		runcommand.StatusDelayed, runcommand.StatusCancelling:
		return v1alpha1.ResultTimedOut
	default:
		return v1alpha1.ResultLost
	}
}

// rebootFailed is the outcome of a reboot after which the process is not known to be healthy in a new boot.
func rebootFailed(run *v1alpha1.CommandStatus, last *look, came bool, after int) *outcome {
	// The agent has reported no end of the script that was to order it.
	doubtful := !runcommand.Status(run.Status).Ran()
	switch {
	case came:
		return &outcome{v1alpha1.ResultIneffective, fmt.Sprintf(
			"the node was rebooted; still not healthy after %d s: %s", after, last.verdict.Message)}
	case doubtful:
		return &outcome{v1alpha1.ResultLost, fmt.Sprintf(
			"whether the reboot was ordered is not known (%s), and the node is not seen to have rebooted after %d s: %s",
			run.Status, after, last.found())}
	case last.verdict == nil:
		return &outcome{v1alpha1.ResultTimedOut, fmt.Sprintf("the node did not come back within %d s: %s", after, last.silence)}
	default:
		return &outcome{v1alpha1.ResultIneffective, fmt.Sprintf(
			"the node did not reboot within %d s, though it was told to: %s", after, last.verdict.Message)}
	}
}
