// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// What the manager may cost.
const (
	// tagCalls is how many calls a round of one policy by tags may make, of any size, and idCalls one of 100 ids.
	tagCalls = 4
	idCalls  = 6
	// halfACore is in CPU seconds a minute, mostMemory in MB.
	halfACore  = 30
	mostMemory = 500
	// watchCalls is one call a second, in a round.
	watchCalls = 30
)

// manyCalls is a budget, in calls a second, that a thousand policies fit into: they send 33 probes a second, and what is read and asked
// about the fleets comes on top.
const manyCalls = 50

// allowed are the flags of a manager that may make so many calls a second.
func allowed(perSecond float64) []string {
	return []string{fmt.Sprint("--aws-calls-per-second=", perSecond)}
}

// rounds is how many of a healthy fleet are measured: ten minutes.
const rounds = 20

// rows is the whole table.
func rows() []*row {
	return slices.Concat(fleetRows(), policyRows(), brokenRows(), hourRows(), watchRows())
}

// fleetRows are one policy over more and more instances.
func fleetRows() []*row {
	return []*row{
		{name: "1 instance", factor: 30, policies: 1, nodes: 1, phases: []phase{
			settle, steady(rounds, tagCalls), repeatedly(3, 4*time.Minute), compare(2)}},
		{name: "50 instances", bounded: true, factor: 20, policies: 1, nodes: 50, phases: []phase{
			settle, steady(rounds, tagCalls), incidents(10, 0), compare(2)}},
		{name: "100 instances by id", bounded: true, factor: 20, policies: 1, nodes: 100, byID: true, phases: []phase{
			settle, steady(rounds, idCalls), incidents(20, 0)}},
		{name: "1,000 instances", factor: 20, policies: 1, nodes: 1_000, phases: []phase{
			settle, steady(rounds, tagCalls), incidents(50, 0), compare(2)}},
		{name: "1,000 instances, waves go on completion", factor: 20, policies: 1, nodes: 1_000, rampUp: ssmlocal.RampUpOnCompletion,
			phases: []phase{settle, steady(rounds, 0), incidents(50, 0)}},
		{name: "10,000 instances", factor: 15, policies: 1, nodes: 10_000, phases: []phase{
			settle, steady(rounds, tagCalls), incidents(100, 0), frugal, compare(1)}},
		{name: "10,000 instances, waves go on completion", factor: 15, policies: 1, nodes: 10_000, rampUp: ssmlocal.RampUpOnCompletion,
			phases: []phase{settle, steady(rounds, 0), incidents(100, 0), frugal}},
	}
}

// policyRows are more and more policies of ten instances.
func policyRows() []*row {
	of := func(policies, factor, kills int, bounded bool) *row {
		return &row{name: fmt.Sprintf("%s policies of 10", figure(float64(policies))), bounded: bounded, factor: factor,
			policies: policies, nodes: 10, phases: []phase{
				settle, steady(rounds, sharedCalls(policies)), incidents(kills, 0), frugal, compare(1)}}
	}
	one, thousand := of(1, 20, 2, false), of(1_000, 5, 100, false)
	one.name = "1 policy of 10"
	thousand.arguments = allowed(manyCalls)
	return []*row{one, of(50, 20, 50, true), of(100, 15, 100, false), thousand}
}

// inventory is how often the fleet of a policy is asked for.
const inventory = 5 * time.Minute

// sharedReads is how many calls a second the reading takes that all policies share: a list of commands, one of undelivered ones, and now
// and then a look at a command that took longer.
const sharedReads = 2.5

// sharedCalls is how many calls a round of so many policies may make: a send for each, an inventory from time to time, pages of 50
// commands, and what they share.
func sharedCalls(policies int) float64 {
	each := 1 + period.Seconds()/inventory.Seconds() + 1.0/50
	return float64(policies)*each + sharedReads*period.Seconds()
}

// brokenRows are fleets, and an endpoint, that are not well.
func brokenRows() []*row {
	return []*row{
		offlineRow(10_000, 100, ssmlocal.ConnectionLost, "offline"),
		offlineRow(10_000, 100, ssmlocal.Undeliverable, "Undeliverable"),
		offlineRow(200, 10, ssmlocal.Undeliverable, "Undeliverable"),
		// 200 pages of failed nodes have to be read in each round.
		{name: "10,000 down at once", factor: 3, policies: 1, nodes: 10_000, arguments: allowed(manyCalls), phases: []phase{
			settle, allDown, measured(rounds / 2), statusSize, frugal}},
		{name: "1,000 policies of 10, 5 calls a second", factor: 2, policies: 1_000, nodes: 10, rate: 5, phases: []phase{throttled}},
		{name: "1,000 down at once, maxConcurrent 1,000, 20 calls a second", factor: 2, policies: 1, nodes: 1_000, rate: 20,
			arguments: allowed(20), phases: []phase{settle, mass}, spec: func(spec *v1alpha1.RemediationPolicySpec) {
				spec.Limits.MaxConcurrent = new(intstr.FromInt32(1_000))
				spec.Limits.MaxUnhealthy = new(intstr.FromString("100%"))
			}},
	}
}

// What a fleet of any size costs in which nodes do not answer: the statuses that the counts of a command do not tell of while it is
// not over, and more looks at its counts, because the waves in which it is sent wait for these nodes.
const (
	hidden = 3
	looks  = 2
)

// offlineRow is a fleet of which some do not answer. What they cost besides is the pages on which they are listed.
func offlineRow(nodes, count int, connection ssmlocal.Connection, how string) *row {
	pages := float64((count + 49) / 50)
	return &row{
		name: fmt.Sprintf("%s of %s %s", figure(float64(count)), figure(float64(nodes)), how), bounded: nodes < 1_000, factor: 15,
		policies: 1, nodes: nodes, phases: []phase{
			settle, disconnect(count, connection), steady(rounds, tagCalls+looks+hidden+pages), judged},
	}
}

// hourRows are about memory.
func hourRows() []*row {
	return []*row{
		{name: "10,000 instances for an hour", factor: 25, policies: 1, nodes: 10_000, phases: []phase{
			settle, hour(tagCalls), frugal}},
		{name: "1,000 policies of 10 for an hour", factor: 5, policies: 1_000, nodes: 10, arguments: allowed(manyCalls), phases: []phase{
			settle, hour(0), frugal}},
	}
}

// watchRows are probes that stay on the nodes. The processes end later than those that are there at first are renewed.
func watchRows() []*row {
	const renewed = 6 * time.Minute
	with := func(name string, rampUp ssmlocal.RampUp, phases ...phase) *row {
		return &row{name: "1,000 instances watched, waves go on " + name, watch: true, factor: 3, policies: 1, nodes: 1_000,
			rampUp: rampUp, phases: phases}
	}
	return []*row{
		with("acknowledgement", ssmlocal.RampUpOnAcknowledgement,
			settle, steady(rounds/2, watchCalls), incidents(100, renewed), medianWithin(5*time.Second)),
		// The policy does without watches there.
		with("completion", ssmlocal.RampUpOnCompletion, settle, steady(rounds, 0), incidents(50, 0)),
	}
}

// medianWithin checks how long half of the recoveries took.
func medianWithin(limit time.Duration) phase {
	return func(_ context.Context, r *run) error {
		r.result.atMost("median until Recovered", quantile(r.result.incidents.latencies, 50).Seconds(), limit.Seconds(), "s", timed)
		return nil
	}
}
