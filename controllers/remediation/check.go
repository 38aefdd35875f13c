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

// endOfCheck reads the end of the script that looks before a document. Only the node's word clears the way for it. The script
// touches nothing, so whatever else has become of it, nothing was done.
func endOfCheck(i runcommand.Invocation, binding string) ending {
	report, err := process.ReadReport(i.Output, binding)
	e := ending{status: i.Status, evidence: report.Evidence, bootID: bootOf(report)}
	if report.Before != nil {
		e.nodeTime = report.Before.NodeTime
	}
	switch {
	case err == nil && report.Result == process.ResultCleared:
	case err == nil && report.Reason == process.ReasonAlreadyRan:
		// Either the agent ran the check again, or somebody has removed what this record said of an earlier one, by which the
		// document may have been sent.
		e.outcome = lost("the check has run on the node before, and its report was replaced; whether the document was sent after it "+
			"is not known", nil)
	case err == nil && (report.Result == v1alpha1.ResultNotNeeded || report.Result == v1alpha1.ResultWithheld):
		e.outcome = &outcome{report.Result, report.Message}
	case i.Status == runcommand.StatusDeliveryTimedOut:
		e.outcome = undelivered()
	default:
		e.outcome = uncleared(fmt.Sprintf("the check before it ended without the node's word (%s, exit code %d)",
			i.StatusText, i.ResponseCode), nil)
	}
	return e
}

// probeTime is when the check before a document has looked: by the node's word, which is in the node's clock, and in any case between
// the intent and now. Neither the time of the send nor that of the reading tells: an agent may be busy, evidence takes its time, and
// AWS may throttle the reading. A node that cannot tell may have looked as early as that.
func probeTime(remediation *v1alpha1.Remediation, check *v1alpha1.CommandStatus, nodeTime, now time.Time) time.Time {
	at, earliest := nodeTime.Add(-clockOffset(&remediation.Spec)), check.IntentTime.Time
	switch {
	case nodeTime.IsZero(), at.Before(earliest):
		return earliest
	case at.After(now):
		return now
	}
	return at
}

// uncleared is the outcome of a check that brought no answer. It is Withdrawn: the document was not sent, and that was this
// controller's own decision. Withheld would be the node's word, and NotDelivered would say that nothing has reached the node.
func uncleared(why string, err error) *outcome {
	return &outcome{v1alpha1.ResultWithdrawn, "the document was not sent: " + why + lastAnswer(err)}
}

// bootOf is the boot in which the node looked before it acted.
func bootOf(report process.Report) string {
	if report.Before == nil {
		return ""
	}
	return report.Before.BootID
}
