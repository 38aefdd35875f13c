// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// row is one row of the table: what goes wrong, and where.
type row struct {
	point, fault string
	// bounded rows represent their class in CI.
	bounded bool
	// long rows begin first, so that the others run beside them.
	long bool
	// alone rows disturb everybody, and run by themselves.
	alone bool
	// replicas is how many managers there are; 1 by default.
	replicas int
	// forgets tells that people take away records, so that what rests on them cannot be asked for: the limits, the sequence.
	forgets bool
	// window is that of the limits; ten minutes by default.
	window time.Duration
	// policy changes the spec of the policies, endpoint what Systems Manager is like, prepare whatever else is there before
	// the managers are.
	policy   func(*v1alpha1.RemediationPolicySpec)
	endpoint func(*run, *ssmlocal.Options)
	prepare  func(*run)
	// script says what happens to a call. It is called with the run's lock held.
	script func(*run, call) treatment
	// tail is how long the faults go on after the last incident, on the run's clock; a minute by default.
	tail time.Duration
	// meddle is done beside the incidents, until ctx ends.
	meddle func(context.Context, *run) error
	// afterwards is done when all is settled. It has to settle again after it.
	afterwards func(context.Context, *run) error
}

// noFault is the fault of the undisturbed run.
const noFault = "none"

func (r *row) name() string { return r.point + " | " + r.fault }

// rows is the whole table.
func rows() []*row {
	all := []*row{{point: "-", fault: noFault, bounded: true}}
	for _, more := range [][]*row{killRows(), stepRows(), kubeRows(), staleRows(), handRows(), ssmRows(), nodeRows()} {
		all = append(all, more...)
	}
	return all
}
