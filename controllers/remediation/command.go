// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"errors"
	"fmt"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// endOfCommand reads the end of a command step. What happened on the node is told by the node's own report alone; a status or
// an exit code only explains a report that is missing.
func endOfCommand(i runcommand.Invocation, binding string) ending {
	report, err := process.ReadReport(i.Output, binding)
	return ending{
		status: i.Status, exitCode: report.ExitCode, output: report.Output, evidence: report.Evidence,
		outcome: outcomeOfCommand(i, report, err),
	}
}

func outcomeOfCommand(i runcommand.Invocation, report process.Report, err error) *outcome {
	switch {
	case err == nil && report.Result != "":
		return reported(report)
	case err == nil && report.Acted:
		return interrupted(i)
	default:
		return unreported(i, err)
	}
}

// reported is the outcome of a script that came to its end.
func reported(report process.Report) *outcome {
	switch {
	case report.Result == v1alpha1.ResultWithheld && report.Reason == process.ReasonAlreadyRan:
		return lost("the step ran once, and the agent then ran the command again, which replaced its report", nil)
	case report.Result == process.ResultCleared, report.Result == process.ResultRebooting:
		return lost("the node reported something else than a command", nil)
	}
	return &outcome{report.Result, report.Message}
}

// interrupted is the outcome of a script that began to act and was ended before its report.
func interrupted(i runcommand.Invocation) *outcome {
	if i.Status == runcommand.StatusExecutionTimedOut {
		return &outcome{v1alpha1.ResultTimedOut, "the agent ended the command while the step or its verification ran"}
	}
	return &outcome{v1alpha1.ResultFailed, fmt.Sprintf(
		"the command ended while the step or its verification ran (%s, exit code %d)", i.StatusText, i.ResponseCode)}
}

// unreported is the outcome of a script that is not known to have acted, because its report is missing or ends before that;
// err is why there is none.
func unreported(i runcommand.Invocation, err error) *outcome {
	switch {
	case err == nil && i.Status.Ran():
		// What the script prints is on its way before it goes on, and the agent has reported all of it.
		return &outcome{v1alpha1.ResultWithheld, fmt.Sprintf(
			"the script was ended on the node before it acted (%s, exit code %d)", i.StatusText, i.ResponseCode)}
	case i.Status == runcommand.StatusDeliveryTimedOut && errors.Is(err, process.ErrNoVerdict):
		return undelivered()
	default:
		return lost(fmt.Sprintf("the command ended without a report of the node (%s, exit code %d); whether the step ran is not known",
			i.StatusText, i.ResponseCode), nil)
	}
}

// undelivered is the outcome of a command that AWS could not hand to the node.
func undelivered() *outcome {
	return &outcome{v1alpha1.ResultNotDelivered, "the node did not take the command in time"}
}
