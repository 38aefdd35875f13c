// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

// details is the StatusDetails of an invocation.
type details uint8

const (
	pending details = iota
	inProgress
	cancelling
	// The rest are final.
	success
	failed
	executionTimedOut
	deliveryTimedOut
	cancelled
	undeliverable
	terminated
	invalidPlatform
	detailsCount
)

// detailNames are the words for each, and the Status that goes with it. AWS does not document the Status of Terminated and
// InvalidPlatform.
var detailNames = [detailsCount]struct{ details, status string }{
	pending:           {"Pending", "Pending"},
	inProgress:        {"InProgress", "InProgress"},
	cancelling:        {"Cancelling", "Cancelling"},
	success:           {"Success", "Success"},
	failed:            {"Failed", "Failed"},
	executionTimedOut: {"ExecutionTimedOut", "TimedOut"},
	deliveryTimedOut:  {"DeliveryTimedOut", "TimedOut"},
	cancelled:         {"Cancelled", "Cancelled"},
	undeliverable:     {"Undeliverable", "Failed"},
	terminated:        {"Terminated", "Cancelled"},
	invalidPlatform:   {"InvalidPlatform", "Failed"},
}

// String is the StatusDetails.
func (d details) String() string { return detailNames[d].details }

// status is the Status.
func (d details) status() string { return detailNames[d].status }

// final says that nothing changes it any more.
func (d details) final() bool { return d >= success }

// status is the Status and StatusDetails of a command.
//
// Undeliverable invocations count neither as success nor as failure, so that a command of which some are Undeliverable
// and the rest succeeded is a Success. When no invocation was delivered at all, Undeliverable is said here.
func (c *command) status() (status, statusDetails string) {
	n := len(c.invocations)
	switch {
	case n == 0:
		return "Success", "NoInstancesInTag"
	case c.completed() < n:
		return c.runningStatus()
	case c.errors() > c.maxErrors:
		if c.count[failed] == 0 {
			return executionTimedOut.status(), executionTimedOut.String()
		}
		return failed.status(), failed.String()
	case c.count[cancelled] > 0:
		return cancelled.status(), cancelled.String()
	case c.count[undeliverable] == n:
		return undeliverable.status(), undeliverable.String()
	case c.count[success]+c.count[undeliverable] == n:
		return success.status(), success.String()
	case c.count[deliveryTimedOut] > c.maxErrors:
		return deliveryTimedOut.status(), deliveryTimedOut.String()
	default:
		return "Failed", "Incomplete"
	}
}

func (c *command) runningStatus() (status, statusDetails string) {
	d := inProgress
	switch {
	case c.count[cancelling] > 0:
		d = cancelling
	case c.count[pending] == len(c.invocations):
		d = pending
	}
	return d.status(), d.String()
}

// completed is CompletedCount: every invocation with a final status.
func (c *command) completed() int {
	return len(c.invocations) - c.count[pending] - c.count[inProgress] - c.count[cancelling]
}

// errors is ErrorCount: Failed and ExecutionTimedOut only. Delivery time-outs are counted apart, and Undeliverable,
// Terminated and InvalidPlatform not at all.
func (c *command) errors() int {
	return c.count[failed] + c.count[executionTimedOut]
}
