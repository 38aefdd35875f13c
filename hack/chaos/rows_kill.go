// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
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

// The rows of the crash matrix that CI takes.
var (
	boundedKills = map[string]bool{
		"before " + kindSend: true, "after " + kindSend: true, "after " + kindIntent: true, "after " + kindCreate: true,
		"before " + kindEnd: true,
	}
	boundedFreezes = map[string]bool{"after " + kindIntent: true, "before " + kindSend: true}
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
		for _, before := range []bool{true, false} {
			name := whenOf(before) + point
			added := []*row{
				{point: name, fault: sigkill, bounded: boundedKills[name], script: strike(point, kills, killing(before))},
				{point: name, fault: sigstop, replicas: 2, bounded: boundedFreezes[name],
					script: strike(point, freezes, freezing(before))},
			}
			if point == kindDelete {
				for _, r := range added {
					// Old attempts have to come to be surplus within the run.
					r.window, r.policy, r.prepare, r.tail = 2*time.Minute, keepOne, alwaysHelp, 4*time.Minute
				}
			}
			rows = append(rows, added...)
		}
	}
	rows = append(rows, takeBackRows()...)
	rows = append(rows, watchRows()...)
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

// takeBackRows stop the manager where it takes back the intent of a send that AWS has throttled.
func takeBackRows() []*row {
	var rows []*row
	for _, before := range []bool{true, false} {
		name := whenOf(before) + kindTakeBack
		rows = append(rows,
			&row{point: name, fault: sigkill, bounded: before, prepare: throttleSends, script: strike(kindTakeBack, kills, killing(before))},
			&row{point: name, fault: sigstop, replicas: 2, prepare: throttleSends, script: strike(kindTakeBack, freezes, freezing(before))})
	}
	return rows
}

// throttleSends refuses half of the sends of recoveries.
func throttleSends(r *run) {
	r.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation != "SendCommand" || strings.HasPrefix(c.Comment, "probe/") || r.heads(0.5) {
			return ssmlocal.Fault{}
		}
		return ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
	})
}

// watchRows stop the manager while its probes stay on the nodes.
func watchRows() []*row {
	var rows []*row
	for _, point := range []string{kindProbe, kindCounts, kindNodes, kindIntent, kindSend, kindEnd} {
		for _, before := range []bool{true, false} {
			name := "watch: " + whenOf(before) + point
			rows = append(rows,
				&row{point: name, fault: sigkill, bounded: point == kindProbe && !before, policy: watched,
					script: strike(point, kills, killing(before))},
				&row{point: name, fault: sigstop, replicas: 2, policy: watched, script: strike(point, freezes, freezing(before))})
		}
	}
	return rows
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
