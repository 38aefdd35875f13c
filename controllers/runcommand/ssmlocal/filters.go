// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"slices"
	"time"
)

// filter is one of the Filters of ListCommands and ListCommandInvocations. Its members are in lower case on the wire.
type filter struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Words that a Status filter takes.
var (
	statusesOfBoth = []string{
		"Pending", "InProgress", "Success", "Cancelled", "Failed", "TimedOut", "AccessDenied", "DeliveryTimedOut",
		"ExecutionTimedOut",
	}
	commandStatuses    = append([]string{"Incomplete", "NoInstancesInTag", "LimitExceeded"}, statusesOfBoth...)
	invocationStatuses = append([]string{"Delayed", "Undeliverable", "InvalidPlatform", "Terminated"}, statusesOfBoth...)
)

// selection is what Filters select.
type selection struct {
	after, before time.Time
	status        string
	document      string
	stage         string
}

// parseFilters checks Filters against what a list takes.
func parseFilters(filters []filter, statuses []string, keys ...string) (selection, error) {
	var (
		v   violations
		sel selection
	)
	if filters != nil {
		size(&v, "filters", filters, 1, 5)
	}
	for _, f := range filters {
		v.oneOf("filters.key", f.Key, keys...)
		v.length("filters.value", f.Value, 1, 128)
		sel.add(f, statuses, &v)
	}
	return sel, v.err()
}

func (sel *selection) add(f filter, statuses []string, v *violations) {
	switch f.Key {
	case "InvokedAfter":
		sel.after = parseTime(f.Value, v)
	case "InvokedBefore":
		sel.before = parseTime(f.Value, v)
	case "Status":
		v.oneOf("filters.value", f.Value, statuses...)
		sel.status = f.Value
	case "DocumentName":
		sel.document = f.Value
	case "ExecutionStage":
		v.oneOf("filters.value", f.Value, "Executing", "Complete")
		sel.stage = f.Value
	}
}

func parseTime(value string, v *violations) time.Time {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		v.add("filters.value", value, "be a timestamp such as 2024-07-07T00:00:00Z")
	}
	return t
}

// command says whether a command is selected by anything but its status.
func (sel *selection) command(c *command) bool {
	return (sel.after.IsZero() || !c.requested.Before(sel.after)) &&
		(sel.before.IsZero() || c.requested.Before(sel.before)) &&
		(sel.document == "" || sel.document == c.request.DocumentName) &&
		(sel.stage == "" || (sel.stage == "Complete") == (c.completed() == len(c.invocations)))
}

// matches says whether a status, or its details, is selected.
func (sel *selection) matches(statusAndDetails ...string) bool {
	return sel.status == "" || slices.Contains(statusAndDetails, sel.status)
}
