// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import "strings"

// Status is a StatusDetails of Run Command.
type Status string

// The details that AWS documents, in the spelling of the API.
const (
	StatusPending           Status = "Pending"
	StatusInProgress        Status = "InProgress"
	StatusDelayed           Status = "Delayed"
	StatusCancelling        Status = "Cancelling"
	StatusSuccess           Status = "Success"
	StatusFailed            Status = "Failed"
	StatusExecutionTimedOut Status = "ExecutionTimedOut"
	StatusDeliveryTimedOut  Status = "DeliveryTimedOut"
	StatusCancelled         Status = "Cancelled"
	StatusUndeliverable     Status = "Undeliverable"
	StatusTerminated        Status = "Terminated"
	StatusInvalidPlatform   Status = "InvalidPlatform"
	StatusAccessDenied      Status = "AccessDenied"
	StatusIncomplete        Status = "Incomplete"
	StatusNoInstancesInTag  Status = "NoInstancesInTag"
	StatusRateExceeded      Status = "RateExceeded"
)

// parseStatus normalises a status: AWS's documentation and console also spell them with blanks ("Delivery Timed Out").
func parseStatus(details string) Status {
	return Status(strings.ReplaceAll(details, " ", ""))
}

// Final reports whether a status will not change any more. One that this version does not know is not taken for final:
// whoever waits gives up at a time of its own.
func (s Status) Final() bool {
	switch s {
	case StatusSuccess, StatusFailed, StatusExecutionTimedOut, StatusDeliveryTimedOut, StatusCancelled, StatusUndeliverable,
		StatusTerminated, StatusInvalidPlatform, StatusAccessDenied, StatusIncomplete, StatusNoInstancesInTag,
		StatusRateExceeded:
		return true
	case StatusPending, StatusInProgress, StatusDelayed, StatusCancelling:
		return false
	default:
		return false
	}
}

// Ran reports whether the status says that a script ran on the node to an end that the agent reported.
func (s Status) Ran() bool {
	return s == StatusSuccess || s == StatusFailed || s == StatusExecutionTimedOut
}
