// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// incidentResult is what came of processes that were ended.
type incidentResult struct {
	killed, recovered, remediations int
	// results are those of the Remediations.
	results map[v1alpha1.Result]int
	// latencies are from the end of a process until its recovery was recorded, and opened until the Remediation was opened; the
	// shortest first.
	latencies, opened []time.Duration
	// calls are those of Systems Manager over the time of the incidents, less those of a healthy fleet.
	calls float64
}

// kill is the end of a process.
type kill struct {
	node *simulated.Node
	at   time.Time
}

const (
	// incidentTime is within which processes end.
	incidentTime = 10 * period
	// recoveryTime is how long recoveries may take after the last process has ended.
	recoveryTime = 20 * time.Minute
	// fewKills and shortly are enough for counts.
	fewKills = 5
	shortly  = 3 * period
)

// incidents ends so many processes at random moments within incidentTime, which begins later, each on a node of its own, and waits
// until all are recovered. They are told to the nodes beforehand, so that a probe that stays on a node knows when to end.
func incidents(count int, later time.Duration) phase {
	return func(ctx context.Context, r *run) error {
		over, begin := incidentTime, r.clock.Now()
		if r.bounded {
			count, over = min(count, fewKills), shortly
		}
		var kills []kill
		for _, node := range r.pick(count) {
			at := begin.Add(later + time.Duration(r.rng.Int64N(int64(over))))
			node.Fail(at)
			kills = append(kills, kill{node, at})
		}
		if err := r.sleep(ctx, later+over); err != nil {
			return err
		}
		if err := r.recovered(ctx, kills, recoveryTime); err != nil {
			return err
		}
		if s := r.result.steady; s != nil {
			span := r.clock.Since(begin)
			calls := float64(len(r.recorder.between(begin, begin.Add(span))))
			r.result.incidents.calls = calls - s.allCalls()*span.Seconds()/s.span.Seconds()
		}
		return nil
	}
}

// repeatedly ends the process of the only node so many times, a time apart.
func repeatedly(count int, apart time.Duration) phase {
	return func(ctx context.Context, r *run) error {
		if r.bounded {
			count = 1
		}
		var kills []kill
		for range count {
			// Anywhere within a period, so that probes do not fall into step with it.
			if err := r.sleep(ctx, time.Duration(r.rng.Int64N(int64(period)))); err != nil {
				return err
			}
			kills = append(kills, kill{r.nodes[0], r.clock.Now()})
			r.nodes[0].Fail(r.clock.Now())
			if err := r.sleep(ctx, apart); err != nil {
				return err
			}
		}
		return r.recovered(ctx, kills, recoveryTime)
	}
}

// pick picks so many nodes at random; none that coverage looks at, as far as there are others.
func (r *run) pick(count int) []*simulated.Node {
	var nodes []*simulated.Node
	for i, node := range r.nodes {
		if r.row.nodes == 1 || i%r.row.nodes != 0 {
			nodes = append(nodes, node)
		}
	}
	r.rng.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes[:min(count, len(nodes))]
}

// recovered waits until all processes are brought back and that is recorded, and takes down how long it took.
func (r *run) recovered(ctx context.Context, kills []kill, most time.Duration) error {
	var res *incidentResult
	ok, err := r.await(ctx, most, func() (bool, error) {
		if slices.ContainsFunc(kills, func(k kill) bool { return !k.node.Up(r.clock.Now()) }) {
			return false, nil
		}
		remediations, err := r.remediations(ctx)
		res = outcomes(kills, remediations)
		return res.recovered == len(kills), err
	})
	if err != nil {
		return err
	}
	if res == nil {
		remediations, err := r.remediations(ctx)
		if err != nil {
			return err
		}
		res = outcomes(kills, remediations)
	}
	r.result.incidents = res
	r.result.mustBe("all recovered", ok, figure(float64(res.recovered))+" of "+figure(float64(res.killed)), counted)
	r.result.mustBe("one Remediation for each", res.remediations == res.killed, res.ended(), counted)
	return nil
}

// outcomes finds the recovery of each process that has ended: the first that was completed after that.
func outcomes(kills []kill, remediations []v1alpha1.Remediation) *incidentResult {
	recoveries, results := map[string][]*v1alpha1.Remediation{}, map[v1alpha1.Result]int{}
	for i := range remediations {
		remediation := &remediations[i]
		results[decide.ResultOf(remediation)]++
		if remediation.Status.CompletionTime != nil && decide.ResultOf(remediation) == v1alpha1.ResultRecovered {
			id := string(remediation.Spec.InstanceID)
			recoveries[id] = append(recoveries[id], remediation)
		}
	}
	byEnd := func(a, b *v1alpha1.Remediation) int {
		return a.Status.CompletionTime.Compare(b.Status.CompletionTime.Time)
	}
	res := &incidentResult{killed: len(kills), remediations: len(remediations), results: results}
	for _, k := range kills {
		recovery := slices.SortedFunc(slices.Values(recoveries[k.node.ID()]), byEnd)
		recovery = slices.DeleteFunc(recovery, func(r *v1alpha1.Remediation) bool { return r.Status.CompletionTime.Time.Before(k.at) })
		if len(recovery) > 0 {
			res.recovered++
			res.opened = append(res.opened, recovery[0].Spec.OpenTime.Sub(k.at))
			res.latencies = append(res.latencies, recovery[0].Status.CompletionTime.Sub(k.at))
		}
	}
	slices.Sort(res.opened)
	slices.Sort(res.latencies)
	return res
}

// ended says how many Remediations there are, and what became of them where that is not the same for all.
func (i *incidentResult) ended() string {
	count := figure(float64(i.remediations))
	if len(i.results) < 2 {
		return count
	}
	return count + ": " + countsOf(i.results)
}

// quantile is the time that so much of a hundred do not exceed. The times are sorted.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

// The floor is what no manager that probes once a period can do better: the process ends just before a probe or just after
// one, the failure is confirmed, and the recovery is one command.
const (
	floorMedian = period/2 + confirm + command
	floorWorst  = period + confirm + command
)
