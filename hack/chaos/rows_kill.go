// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// points are the calls at which managers are stopped, each of them before the server sees it and after it was carried out.
var points = []string{
	kindLiveList, kindClaim, kindCreate, kindIntent, kindLivePolicy, kindSend, kindRecord, kindEnd, kindLetGo, kindSummary,
	kindDelete, kindEvent, kindProbe, kindCounts, kindNodes, kindResult, kindInventory,
}

// The rows of the crash matrix that CI takes, by their points.
var (
	boundedKills = map[string]bool{
		"before " + kindSend: true, "after " + kindSend: true, "after " + kindIntent: true, "after " + kindCreate: true,
		"before " + kindEnd: true, "before " + kindTakeBack: true, watching + "after " + kindProbe: true,
		documents + "after " + kindSend: true, documents + "after " + kindCancel: true, reboot + "after " + kindSend: true,
	}
	boundedFreezes = map[string]bool{"after " + kindIntent: true, "before " + kindSend: true}
)

// What else is special about the policies of a row, before the names of its points.
const (
	watching  = "watch: "
	documents = "document: "
	reboot    = "reboot: "
)

// Strikes: how often a manager is stopped in a run.
const (
	kills   = 4
	freezes = 2
)

// The faults of the crash matrix.
const (
	sigkill = "SIGKILL"
	sigstop = "SIGSTOP, another leads, SIGCONT"
)

// killRows stop the manager at every point of an incident: for good, and for a while in which another takes over.
func killRows() []*row {
	var rows []*row
	for _, point := range points {
		var like row
		if point == kindDelete {
			// Old attempts have to come to be surplus within the run.
			like = row{window: 2 * time.Minute, policy: keepOne, prepare: alwaysHelp, tail: 4 * time.Minute}
		}
		rows = append(rows, crashes("", point, like)...)
	}
	// The intent of a send is taken back when AWS has throttled it.
	rows = append(rows, crashes("", kindTakeBack, row{prepare: throttleSends})...)
	for _, point := range []string{kindProbe, kindCounts, kindNodes, kindIntent, kindSend, kindEnd} {
		rows = append(rows, crashes(watching, point, row{policy: watched})...)
	}
	return append(rows, &row{
		point: "after " + kindIntent, fault: "SIGSTOP for an hour", replicas: 2, long: true,
		script: strike(kindIntent, 1, func(r *run, c call) treatment {
			return treatment{after: func(ctx context.Context) { c.replica.freeze(ctx, r.clock.Real(time.Hour)) }}
		}),
		// All has settled long before it wakes up.
		afterwards: func(ctx context.Context, r *run) error {
			r.sleep(ctx, time.Hour+2*time.Minute)
			return nil
		},
	})
}

// crashes are the rows that are like one, and stop the manager at calls of a kind, before and after them: for good, and for a while.
func crashes(prefix, kind string, like row) []*row {
	var rows []*row
	for _, before := range []bool{true, false} {
		killed, frozen := like, like
		killed.point, killed.fault, killed.script = prefix+whenOf(before)+kind, sigkill, strike(kind, kills, killing(before))
		killed.bounded = boundedKills[killed.point]
		frozen.point, frozen.fault, frozen.script = killed.point, sigstop, strike(kind, freezes, freezing(before))
		frozen.bounded, frozen.replicas = boundedFreezes[frozen.point], 2
		rows = append(rows, &killed, &frozen)
	}
	return rows
}

// throttleSends refuses half of the sends of recoveries.
func throttleSends(r *run) {
	r.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if !ofRecovery(c) || r.heads(0.5) {
			return ssmlocal.Fault{}
		}
		return ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
	})
}

// watched has probes stay on the nodes for a minute.
func watched(s *v1alpha1.RemediationPolicySpec) {
	s.Probe.Mode, s.Probe.WatchSeconds = v1alpha1.ProbeWatch, 60
}

// whenOf is a word for whether a fault strikes before the server sees the call or after it was carried out.
func whenOf(before bool) string {
	if before {
		return "before "
	}
	return "after "
}

// keepOne keeps as few old attempts as possible: those only that limits look at.
func keepOne(s *v1alpha1.RemediationPolicySpec) {
	s.History.Limit, s.Limits.StopAfterIneffective = 1, 4
}

// alwaysHelp makes every step help, so that stopAfterIneffective has nothing to stop.
func alwaysHelp(r *run) {
	for _, node := range r.nodes {
		node.SetStep(simulated.Step{Takes: 3 * time.Second, HelpsAfter: 2 * time.Second, Helps: true})
	}
}

// strike treats some of the calls of a kind: the first, and then others at random, so often at most.
func strike(kind string, most int, treat func(*run, call) treatment) func(*run, call) treatment {
	return func(r *run, c call) treatment {
		if c.kind != kind || r.hits >= most || (r.hits > 0 && !r.chance(0.6)) {
			return treatment{}
		}
		return treat(r, c)
	}
}

// killing ends the manager before the server sees the call, or after it was carried out.
func killing(before bool) func(*run, call) treatment {
	return func(_ *run, c call) treatment {
		kill := func(context.Context) { c.replica.kill() }
		if before {
			return treatment{before: kill, lose: loseCall}
		}
		return treatment{after: kill, lose: loseAnswer}
	}
}

// freezing stops the manager in time, for long enough that another takes over, and up to long after the attempt has expired.
func freezing(before bool) func(*run, call) treatment {
	return func(r *run, c call) treatment {
		d := leaseDuration + 2*retryPeriod + time.Duration(r.rng.Int64N(int64(5*time.Second)))
		freeze := func(ctx context.Context) { c.replica.freeze(ctx, d) }
		if before {
			return treatment{before: freeze}
		}
		return treatment{after: freeze}
	}
}
