// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// endOfReboot reads the end of the script that orders a reboot. Once it may have ordered it, only another boot of the node
// tells what came of it: the reboot may well have taken the script, the agent or its answer with it.
func endOfReboot(i runcommand.Invocation, binding string) ending {
	report, err := process.ReadReport(i.Output, binding)
	e := ending{status: i.Status, evidence: report.Evidence, bootID: bootOf(report)}
	if err == nil && ordered(report) {
		return e
	}
	switch {
	case err == nil && (report.Result == v1alpha1.ResultNotNeeded || report.Result == v1alpha1.ResultWithheld):
		e.outcome = &outcome{report.Result, report.Message}
	default:
		e.outcome = unreported(i, err)
	}
	if e.outcome.result == v1alpha1.ResultLost {
		e.outcome = nil
	}
	return e
}

// ordered tells whether the report says that the reboot may have been ordered. A script that has run before is one that the
// agent took up again, after the reboot as a rule.
func ordered(report process.Report) bool {
	return report.Acted || (report.Result == v1alpha1.ResultWithheld && report.Reason == process.ReasonAlreadyRan)
}

// rebooted tells whether the node has booted since the reboot was to be ordered, by a look that was begun at the given time:
// its boot is another one. When one of the two boots is not known (the report of a script that was run again, or was lost,
// names none), the time that the node was up for tells: it has booted since when that is less than what has passed since the
// intent, both by our own clock.
func rebooted(run *v1alpha1.CommandStatus, verdict *process.Verdict, begun time.Time) bool {
	if run.BootID != "" && verdict.BootID != "" {
		return run.BootID != verdict.BootID
	}
	return verdict.Uptime > 0 && verdict.Uptime < begun.Sub(run.IntentTime.Time)
}
