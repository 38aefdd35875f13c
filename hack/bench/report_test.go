// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFigure(t *testing.T) {
	for want, x := range map[string]float64{
		"0": 0, "0.04": 0.04, "3.1": 3.1, "4": 4.001, "10": 9.999, "12.3": 12.345, "100": 99.96, "999": 999, "20,000": 20000,
		"1,234,568": 1234567.8,
	} {
		if got := figure(x); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}

func TestFailures(t *testing.T) {
	res := &result{row: &row{name: "r"}}
	res.tell("told", "%d", 7)
	res.atMost("low enough", 4, 4, "", counted)
	res.atMost("calls", 5, 4, "", counted)
	res.atMost("CPU", 40, 30, "s", timed)
	res.atLeast("rounds", 80, 90, "%", timed)
	res.mustBe("recovered", false, "3 of 5", counted)
	counts := []string{"calls: 5, must be at most 4", "recovered: no, 3 of 5, must be yes"}
	if got := res.failures(true); !slices.Equal(got, counts) {
		t.Errorf("counted: %q", got)
	}
	if got := res.failures(false); len(got) != 4 {
		t.Errorf("all: %q", got)
	}
	res.err = errors.New("broken")
	if got := res.failures(true); len(got) != 3 || got[0] != "broken" {
		t.Errorf("broken off: %q", got)
	}
}

func TestEnds(t *testing.T) {
	var samples []sample
	for minute := range 61 {
		samples = append(samples, sample{
			at: noon.Add(time.Duration(minute) * time.Minute), resident: int64(1000 + minute), live: int64(100 + 2*minute),
		})
	}
	first, last := ends(samples)
	if first.live != 110 || last.live != 210 || first.resident != 1005 || last.resident != 1055 {
		t.Errorf("got %+v and %+v", first, last)
	}
}

func TestMarkdown(t *testing.T) {
	res := &result{
		row: &row{name: "10 | 20"}, factor: 20, took: time.Minute,
		steady: &steadyResult{
			span: 10 * time.Minute, rounds: 20, calls: map[string]int{"SendCommand": 20, "ListCommands": 40}, invocations: 200,
			writes: map[string]float64{"events": 10}, cpu: 5 * time.Second, memory: memory{peak: 50 << 20}, busy: 0.5,
		},
		naive: &naiveResult{rounds: 2, calls: map[string]int{"SendCommand": 20, "GetCommandInvocation": 30}, invocations: 20},
		incidents: &incidentResult{killed: 2, recovered: 2, latencies: []time.Duration{20 * time.Second, 30 * time.Second},
			opened: []time.Duration{15 * time.Second, 25 * time.Second}, calls: 9},
	}
	res.atMost("CPU", 40, 30, "s", timed)
	text := (&report{machine: "a machine", results: []*result{res}, missing: []string{"a watch"}}).markdown()
	for _, line := range []string{
		`| 10 \| 20 | 20 | 1 | 2 | 0 | 0 | 0 | 3 | 100% | 1 | 0.5 | 50 | 50% |`,
		`| 10 \| 20 | 25 | 10 | 15 | 0 | 0 | 3 | 0.25 | 5 | 0.6 |`,
		`| 10 \| 20 | 2 | 2 | 25 | 30 | 30 | 30 | 21.4 | 36.4 | 4.5 |`,
		`| 10 \| 20 | 2,880 | 28,800 | 8,640 | 28,800 | 72,000 |`,
		`| 10 \| 20 | CPU | 40 s | at most 30 | NO |`,
		`Left out, because this version of the API has no spec.probe.mode: a watch.`,
	} {
		if !strings.Contains(plain(text), line) {
			t.Errorf("there is no line\n%s\nin\n%s", line, plain(text))
		}
	}
	bounded := (&report{bounded: true, results: []*result{res}}).markdown()
	if !strings.Contains(plain(bounded), "| CPU | 40 s | at most 30 | not judged |") {
		t.Error("times are judged in the bounded part")
	}
}

// plain is Markdown without what makes it look even.
func plain(text string) string {
	text = strings.ReplaceAll(text, "`", "")
	for strings.Contains(text, "  ") {
		text = strings.ReplaceAll(text, "  ", " ")
	}
	return text
}

func TestRows(t *testing.T) {
	names := map[string]bool{}
	bounded := 0
	for _, r := range rows() {
		if names[r.name] {
			t.Errorf("%q is there twice", r.name)
		}
		names[r.name] = true
		if r.bounded {
			bounded++
		}
		if r.factor < 1 || r.policies < 1 || r.nodes < 1 || len(r.phases) == 0 {
			t.Errorf("%q measures nothing", r.name)
		}
	}
	if bounded == 0 {
		t.Error("nothing is left for CI")
	}
}
