// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// coverage sees which policies are probed how often: by the executions on the first node of each, which is never made to fail.
type coverage struct {
	nodes int

	mu     sync.Mutex
	probed [][]time.Time
}

func newCoverage(policies, nodes int) *coverage {
	return &coverage{nodes: nodes, probed: make([][]time.Time, policies)}
}

// see takes in an execution, with the lock of the server held.
func (c *coverage) see(e ssmlocal.Entry) {
	n, ok := number(e.InstanceID)
	if !ok || n%c.nodes != 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	policy := n / c.nodes
	c.probed[policy] = append(c.probed[policy], e.Start)
}

// number is that of an instance, as simulated.ID has it.
func number(id string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, "i-"), 16, 64)
	return int(n), err == nil
}

// spread is how evenly policies were probed within a time.
type spread struct {
	// fewest and most are rounds of a policy, and mean what all have on average.
	fewest, most int
	mean         float64
	// longest is the longest time that a policy was without a probe.
	longest time.Duration
}

func (c *coverage) between(from, to time.Time) spread {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := spread{fewest: -1}
	for _, probed := range c.probed {
		times := slices.DeleteFunc(slices.Clone(probed), func(t time.Time) bool { return t.Before(from) || t.After(to) })
		last := from
		for _, t := range append(slices.Clone(times), to) {
			s.longest = max(s.longest, t.Sub(last))
			last = t
		}
		s.most = max(s.most, len(times))
		s.mean += float64(len(times)) / float64(len(c.probed))
		if s.fewest < 0 || len(times) < s.fewest {
			s.fewest = len(times)
		}
	}
	return s
}

// all tells whether every policy was probed.
func (c *coverage) all() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.probed, func(probed []time.Time) bool { return len(probed) == 0 })
}
