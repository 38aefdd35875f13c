// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// table collects the results of rows.
type table struct {
	mu      sync.Mutex
	results []*result
}

// add takes a row in, and tells that it is there.
func (t *table) add(r *result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results = append(t.results, r)
	verdict := "ok"
	if len(r.violations) > 0 {
		verdict = "VIOLATED: " + r.violations[0]
	}
	fmt.Fprintf(os.Stderr, "%3d  %-60s %3.0f s  hits %d, incidents %d, %v  %s\n", len(t.results), r.row.name(), r.seconds, r.hits,
		r.incidents, r.results, verdict)
}

// print writes the table, in the order of the rows, with a line of totals.
func (t *table) print(w io.Writer, order []*row) error {
	slices.SortFunc(t.results, func(a, b *result) int { return slices.Index(order, a.row) - slices.Index(order, b.row) })
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...any) { _, _ = fmt.Fprintln(out, strings.TrimSuffix(fmt.Sprintln(tabbed(cells)...), "\n")) }
	line("POINT", "FAULT", "RUNS", "HITS", "INCIDENTS", "REMEDIATIONS", "MAX SENDS", "MAX EXECUTIONS", "NO RESULT",
		"NOT RECOVERED", "SECONDS")
	sum := result{}
	for _, r := range t.results {
		line(r.row.point, r.row.fault, r.runs, r.hits, r.incidents, r.remediations, r.sends, r.executions, r.noResult, r.notRecovered,
			fmt.Sprintf("%.0f", r.seconds))
		sum.runs += r.runs
		sum.hits += r.hits
		sum.incidents += r.incidents
		sum.remediations += r.remediations
		if !r.row.forgets {
			// Without its record a command is sent again, and it is the node that refuses it.
			sum.sends = max(sum.sends, r.sends)
		}
		sum.executions = max(sum.executions, r.executions)
		sum.noResult += r.noResult
		sum.notRecovered += r.notRecovered
	}
	line("all", "", sum.runs, sum.hits, sum.incidents, sum.remediations, sum.sends, sum.executions, sum.noResult, sum.notRecovered, "")
	return out.Flush()
}

func tabbed(cells []any) []any {
	var out []any
	for i, cell := range cells {
		if i > 0 {
			out = append(out, "\t")
		}
		out = append(out, cell)
	}
	return out
}

// failed are the results that violate something.
func (t *table) failed() []*result {
	return slices.DeleteFunc(slices.Clone(t.results), func(r *result) bool { return len(r.violations) == 0 })
}
