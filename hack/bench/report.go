// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// report is all that is printed.
type report struct {
	machine string
	bounded bool
	// missing are rows that this version of the API does not have.
	missing []string
	began   time.Time
	took    time.Duration
	results []*result
}

// operations are the columns of calls.
var operations = []string{"SendCommand", "ListCommands", "ListCommandInvocations", "GetCommandInvocation", "DescribeInstanceInformation"}

// markdown is the report.
func (r *report) markdown() string {
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	say("# Benchmarks\n")
	say("`make bench`, %s, on %s. The whole took %s.", r.began.UTC().Format(time.DateOnly), r.machine, r.took.Round(time.Second))
	if r.bounded {
		say("\nThis is the bounded part (`-bounded`): short, and only counts are judged.")
	}
	if len(r.missing) > 0 {
		say("\nLeft out, because this version of the API has no `spec.probe.mode`: %s.", strings.Join(r.missing, "; "))
	}
	say(introduction, seconds(ackDelay), seconds(lookTakes), seconds(stepTakes), seconds(period), seconds(confirm))
	r.steady(&out)
	r.naive(&out)
	r.incidents(&out)
	r.days(&out)
	r.facts(&out)
	return out.String()
}

const introduction = `
The manager, a process of its own, runs against a real kube-apiserver and against ssmlocal with simulated nodes: a command reaches
the agent %s s after the send, a look at the process takes %s s, the recovery %s s. Policies have the defaults: a period of %s s, a
failure confirmed after %s s. Clocks run faster than the real one by the factor of the row; times, rates and CPU seconds are those of
that clock, so that CPU seconds a minute are those of a manager on the real clock. What the machine itself needs, such as a write to
etcd, looks longer by the factor. "Machine" is how much of it was at work meanwhile, the endpoint and the API server included.`

// steady is the table of healthy fleets.
func (r *report) steady(out *strings.Builder) {
	t := newTable("## A healthy fleet\n\nCalls are those of a round of probes, writes, all kinds together, those to the API server.",
		slices.Concat([]string{"row", "factor"}, operations, []string{"all calls", "rounds on time", "writes a minute", "CPU s a minute",
			"memory, peak MB", "machine"})...)
	for _, res := range r.results {
		s := res.steady
		if s == nil {
			continue
		}
		cells := []string{res.row.name, fmt.Sprint(res.factor)}
		for _, operation := range operations {
			cells = append(cells, figure(s.perRound(float64(s.calls[operation]))))
		}
		t.add(append(cells, figure(s.perRound(s.allCalls())), fmt.Sprintf("%.0f%%", 100*s.onTime()),
			figure(s.perMinute(s.allWrites())), figure(s.perMinute(s.cpu.Seconds())), figure(megabytes(s.memory.peak)),
			fmt.Sprintf("%.0f%%", 100*s.busy))...)
	}
	t.write(out)
}

// assumedLimit is a number of calls a second, for a comparison. AWS publishes none.
const assumedLimit = 5

// naive is the table of the naive loop beside the manager.
func (r *report) naive(out *strings.Builder) {
	t := newTable(fmt.Sprintf("## Beside the naive loop\n\nA send for each instance, and polls for its result, against the same endpoint. "+
		"The last columns are how long the calls of one round take at %d calls a second.", assumedLimit),
		"row", "its calls a round", "SendCommand", "GetCommandInvocation", "CPU s a round", "memory, peak MB", "our calls a round",
		"our CPU s a round", "its round, s", "our round, s")
	for _, res := range r.results {
		n, s := res.naive, res.steady
		if n == nil || s == nil {
			continue
		}
		per := func(count int) float64 { return float64(count) / float64(n.rounds) }
		all := 0
		for _, count := range n.calls {
			all += count
		}
		t.add(res.row.name, figure(per(all)), figure(per(n.calls["SendCommand"])), figure(per(n.calls["GetCommandInvocation"])),
			figure(n.cpu.Seconds()/float64(n.rounds)), figure(megabytes(n.peak)), figure(s.perRound(s.allCalls())),
			figure(s.perRound(s.cpu.Seconds())), figure(per(all)/assumedLimit), figure(s.perRound(s.allCalls())/assumedLimit))
	}
	t.write(out)
}

// incidents is the table of recoveries.
func (r *report) incidents(out *strings.Builder) {
	t := newTable(fmt.Sprintf("## From the end of a process to `Recovered`\n\nIn seconds. The floor is one command, %s s, the confirmation, "+
		"and half a period, or a whole one at worst. A watch on the node has no such floor.", seconds(command)),
		"row", "ended", "recovered", "opened, median", "median", "p99", "longest", "floor, median", "floor, worst", "calls for each")
	for _, res := range r.results {
		i := res.incidents
		if i == nil {
			continue
		}
		median, worst := seconds(floorMedian), seconds(floorWorst)
		if res.row.watch {
			median, worst = seconds(command), seconds(command)
		}
		calls := "-"
		if i.calls > 0 {
			calls = figure(i.calls / float64(i.killed))
		}
		cells := []string{res.row.name, figure(float64(i.killed)), figure(float64(i.recovered))}
		if len(i.latencies) == 0 {
			cells = append(cells, "-", "-", "-", "-")
		} else {
			cells = append(cells, seconds(quantile(i.opened, 50)), seconds(quantile(i.latencies, 50)),
				seconds(quantile(i.latencies, 99)), seconds(quantile(i.latencies, 100)))
		}
		t.add(append(cells, median, worst, calls)...)
	}
	t.write(out)
}

// days is the table of what a day of a healthy fleet costs.
func (r *report) days(out *strings.Builder) {
	t := newTable("## A day of it\n\nEach call is an event of CloudTrail, each invocation one of EventBridge and an entry in the history of "+
		"30 days. The naive loop is taken to probe once a period as well.",
		"row", "sends", "invocations", "CloudTrail events", "naive: invocations", "naive: CloudTrail events")
	for _, res := range r.results {
		s := res.steady
		if s == nil {
			continue
		}
		invocations, events := "-", "-"
		if n := res.naive; n != nil {
			sum := 0
			for _, count := range n.calls {
				sum += count
			}
			perDay := float64(24*time.Hour/period) / float64(n.rounds)
			invocations, events = figure(float64(n.invocations)*perDay), figure(float64(sum)*perDay)
		}
		t.add(res.row.name, figure(s.perDay(float64(s.calls["SendCommand"]))), figure(s.perDay(float64(s.invocations))),
			figure(s.perDay(s.allCalls())), invocations, events)
	}
	t.write(out)
}

// facts is the table of all that was found besides, and of what must hold.
func (r *report) facts(out *strings.Builder) {
	t := newTable("## What must hold, and what else was found", "row", "what", "found", "must be", "holds")
	for _, res := range r.results {
		if res.err != nil {
			t.add(res.row.name, "the row broke off", res.err.Error(), "-", "NO")
		}
		for _, f := range res.facts {
			must, holds := f.must, "yes"
			switch {
			case must == "":
				must, holds = "-", "-"
			case r.bounded && f.basis == timed:
				holds = "not judged"
			case !f.holds:
				holds = "NO"
			}
			t.add(res.row.name, f.what, f.got, must, holds)
		}
		t.add(res.row.name, "real time that the row took", seconds(res.took)+" s", "-", "-")
	}
	t.write(out)
}

// countsOf writes counts by name.
func countsOf[Name ~string, Number int | float64](counts map[Name]Number) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, string(name)+" "+figure(float64(counts[name])))
	}
	return strings.Join(words, ", ")
}
