// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// row is a fleet, and what happens to it.
type row struct {
	name string
	// bounded rows are those that CI runs.
	bounded bool
	// factor is how many times faster than the real one the clock runs, so that a machine of two cores keeps up.
	factor int
	// policies with so many nodes each, which they select by a tag, or byID.
	policies, nodes int
	byID            bool
	// watch is for policies whose probes stay on the nodes (spec.probe.mode).
	watch bool
	// rampUp is what the waves of a command wait for, rate how many calls a second the endpoint takes, or 0 for any.
	rampUp ssmlocal.RampUp
	rate   float64
	// spec changes that of the policies, and arguments are flags of the manager.
	spec      func(*v1alpha1.RemediationPolicySpec)
	arguments []string
	// phases are played one after the other, once the manager was started.
	phases []phase
}

// phase is a part of what happens in a row, and what is measured meanwhile.
type phase func(context.Context, *run) error
