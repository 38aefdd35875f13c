// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"
)

func TestCPUTime(t *testing.T) {
	stat := "4711 (a ) name) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 150 7 7 20 0 8 0 1000 1 2 3\n"
	if got, err := parseCPUTime(stat); err != nil || got != 4*time.Second {
		t.Errorf("got %s, %v", got, err)
	}
	for name, bad := range map[string]string{
		"cut off": "4711 (name) S 1", "no number": strings.Replace(stat, "250", "x", 1), "empty": "",
	} {
		if _, err := parseCPUTime(bad); err == nil {
			t.Errorf("%s: that can be read", name)
		}
	}
	if own, err := cpuTime(os.Getpid()); err != nil || own < 0 {
		t.Errorf("our own is %s, %v", own, err)
	}
}

func TestMemory(t *testing.T) {
	status := "Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n"
	if got, err := parseMemory([]byte(status)); err != nil || got != (memory{resident: 100 << 10, peak: 200 << 10}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseMemory([]byte("Name:\tx\nVmRSS:\t  100 kB\n")); err == nil {
		t.Error("there is a peak")
	}
	own, err := memoryOf(os.Getpid())
	if err != nil || own.resident <= 0 || own.peak < own.resident/2 {
		t.Errorf("our own is %+v, %v", own, err)
	}
}

func TestMachineTime(t *testing.T) {
	before, err := parseMachineTime("cpu  100 0 50 1000 10 5 5 0 0 0\ncpu0 1 1 1\n")
	if err != nil || before != (machineTime{busy: 160, all: 1170}) {
		t.Errorf("got %+v, %v", before, err)
	}
	after, err := parseMachineTime("cpu  130 0 50 1050 30 5 5 0 0 0\n")
	if got := after.share(before); err != nil || got != 0.3 {
		t.Errorf("got %v, %v", got, err)
	}
	if got := after.share(after); got != 0 {
		t.Errorf("got %v of no time", got)
	}
	if _, err := parseMachineTime("intr 1 2 3 4 5 6 7 8 9"); err == nil {
		t.Error("that is a time")
	}
}

func TestMetrics(t *testing.T) {
	text := `# HELP requests How many.
requests{verb="POST",resource="events"} 3
requests{verb="GET",resource="events"} 4
requests_total{verb="POST"} 100
heap 1.5e+06
`
	sums := map[string]float64{}
	see := func(labels map[string]string, value float64) { sums[labels["verb"]] += value }
	for _, name := range []string{"requests", "heap"} {
		if err := parseMetrics(strings.NewReader(text), name, see); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[string]float64{"POST": 3, "GET": 4, "": 1.5e6}; !maps.Equal(sums, want) {
		t.Errorf("got %v, want %v", sums, want)
	}
	if parseMetrics(strings.NewReader("heap much\n"), "heap", see) == nil {
		t.Error("much is a number")
	}
}
