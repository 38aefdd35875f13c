// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import "context"

// Priority is the order in which calls are made when the AWS budget does not suffice for all of them.
type Priority int

const (
	// PriorityRecovery is for sends and cancels of recoveries.
	PriorityRecovery Priority = iota
	// PriorityResults is for reading what became of commands, and for whatever says nothing else.
	PriorityResults
	// PriorityConfirm is for probes of single instances whose probe has failed.
	PriorityConfirm
	// PriorityProbe is for probes of all instances of a policy.
	PriorityProbe

	priorities
)

// String is the priority as a word for metrics.
func (p Priority) String() string {
	switch p {
	case PriorityRecovery:
		return "recovery"
	case PriorityConfirm:
		return "confirm"
	case PriorityProbe:
		return "probe"
	case PriorityResults, priorities:
	}
	return "results"
}

type priorityKey struct{}

// WithPriority returns a context whose calls have a priority. Most of a Service's callers do not choose one, and a call knows
// nothing of what it is made for: so it travels beside the arguments.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

func priorityOf(ctx context.Context) Priority {
	if p, chosen := ctx.Value(priorityKey{}).(Priority); chosen {
		return p
	}
	return PriorityResults
}
