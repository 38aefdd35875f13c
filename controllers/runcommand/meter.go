// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import "time"

// Outcome is how a call ended.
type Outcome string

const (
	// OutcomeOK means that AWS did what it was asked for.
	OutcomeOK Outcome = "ok"
	// OutcomeThrottled means that AWS refused the call because there were too many.
	OutcomeThrottled Outcome = "throttled"
	// OutcomeError means that AWS refused the call for another reason, or did not answer.
	OutcomeError Outcome = "error"
)

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OutcomeOK
	case Classify(err) == Throttled:
		return OutcomeThrottled
	default:
		return OutcomeError
	}
}

// Meter counts what is called of AWS. Its methods are called by several goroutines at a time.
type Meter interface {
	// Called is told of each request, each page and each retry included, once it has ended.
	Called(location Location, operation string, outcome Outcome)
	// Waited is told how long a call has waited for the budget.
	Waited(priority Priority, d time.Duration)
}

// unmetered counts nothing.
type unmetered struct{}

func (unmetered) Called(Location, string, Outcome) {}
func (unmetered) Waited(Priority, time.Duration)   {}
