// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// result is what a row of the table says.
type result struct {
	row          *row
	runs         int
	hits         int
	incidents    int
	remediations int
	// executions is how many effects one Remediation had at most.
	executions int
	// sends is how many commands that act, or look before a document, one Remediation had at most.
	sends        int
	noResult     int
	notRecovered int
	results      map[v1alpha1.Result]int
	violations   []string
	seconds      float64
	// kept is where the logs are, when something is wrong.
	kept string
}

func (res *result) violate(format string, args ...any) {
	res.violations = append(res.violations, fmt.Sprintf(format, args...))
}

// judge applies the oracles to a run that has come to its end, or to its deadline.
func (r *run) judge(open []string) *result {
	r.mu.Lock()
	res := &result{row: r.row, runs: 1, hits: r.hits, incidents: r.incidents, results: map[v1alpha1.Result]int{}}
	r.mu.Unlock()
	for _, missing := range open {
		res.violate("not settled: %s", missing)
	}
	res.notRecovered = len(r.down())
	if res.hits == 0 && r.row.fault != noFault {
		res.violate("the point was never reached, so that nothing was tested")
	}
	if r.replayed > 0 {
		res.violate("%d commands that were replayed an hour later had an effect", r.replayed)
	}
	r.judgeEffects(res)
	r.judgeRecords(res)
	r.judgeLogs(res)
	return res
}

// judgeEffects looks at what was really done on the nodes.
func (r *run) judgeEffects(res *result) {
	res.executions = r.ledger.Most()
	r.judgeSends(res)
	for uid, effects := range r.ledger.Repeated() {
		res.violate("Remediation %s acted %d times: %+v", uid, len(effects), effects)
	}
	for _, e := range r.ledger.OnHealthy() {
		// Between the look before a document and the document there is a window, which is documented.
		if e.DocumentStep == "" {
			res.violate("acted on a healthy process: %+v", e)
		}
	}
	for _, e := range r.ledger.Effects() {
		if why := r.forbidden(e.InstanceID, e.Time); why != "" {
			res.violate("acted while %s: %+v", why, e)
		}
	}
	if most, id := r.ledger.MostWithin(r.window()); most > attempts && !r.row.forgets {
		res.violate("%d effects on %s within %s", most, id, r.window())
	}
}

// judgeSends looks at what reached the nodes. The node would refuse to act on a second command, but none is to be sent.
func (r *run) judgeSends(res *result) {
	commands := map[string]map[string]bool{}
	for _, e := range r.recoveries() {
		if commands[e.Comment] == nil {
			commands[e.Comment] = map[string]bool{}
		}
		commands[e.Comment][e.CommandID] = true
	}
	for comment, ids := range commands {
		if strings.HasSuffix(comment, "/Verify") {
			continue
		}
		res.sends = max(res.sends, len(ids))
		if len(ids) > 1 && !r.row.forgets {
			res.violate("%s was sent %d times", comment, len(ids))
		}
	}
}

// judgeRecords looks at the Remediations.
func (r *run) judgeRecords(res *result) {
	for _, rec := range r.history.all() {
		res.remediations++
		res.results[rec.result()]++
		if rec.result() == v1alpha1.ResultRunning && (!rec.gone || !r.row.forgets) {
			res.noResult++
		}
	}
	if res.noResult > 0 {
		res.violate("%d Remediations without a result", res.noResult)
	}
	if !r.row.forgets {
		r.judgeLimits(res)
	}
}

// judgeLimits looks at what rests on records that nobody took away.
func (r *run) judgeLimits(res *result) {
	for _, sequence := range r.history.reused() {
		res.violate("a sequence number was given again: %s", sequence)
	}
	if most, who := r.history.mostAttempts(r.window()); most > attempts {
		res.violate("%d attempts of %s within %s", most, who, r.window())
	}
	r.history.mu.Lock()
	defer r.history.mu.Unlock()
	for policy, most := range r.history.mostRunning {
		if most > maxConcurrent {
			res.violate("%d instances of %s under recovery at once", most, policy)
		}
	}
	for _, change := range r.history.changed {
		res.violate("a result changed: %s", change)
	}
}

// alarming are texts that no log of a manager may have.
var alarming = []string{"panic", "DATA RACE", "concurrent map", "fatal error"}

// judgeLogs reads what the managers have printed.
func (r *run) judgeLogs(res *result) {
	logs, err := filepath.Glob(filepath.Join(r.directory, "*.log"))
	if err != nil {
		res.violate("finding the logs: %v", err)
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			res.violate("reading the log: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			for _, word := range alarming {
				if strings.Contains(line, word) {
					res.violate("%s: %s", filepath.Base(log), strings.TrimSpace(line))
				}
			}
		}
	}
}
