// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const (
	// allowed is how many calls a second AWS carries out, and as many at once.
	allowed = 5
	// policies are probed one after the other by as many workers as the manager has, each with an inventory and a send.
	policies, workers = 1000, 16
	throttledFor      = 10 * time.Minute
)

// TestAThrottledAccount lets a thousand policies and their recoveries loose on a Systems Manager that bears 5 calls a second,
// with a budget for 20.
func TestAThrottledAccount(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, 4*allowed, func(b *bubble) {
				b.server.SetRateLimit(allowed)
				ctx, cancel := context.WithTimeout(b.t.Context(), throttledFor)
				defer cancel()
				var all sync.WaitGroup
				probes := b.probe(ctx, &all)
				all.Go(func() { b.read(ctx) })
				late := b.recover(ctx, rand.New(rand.NewPCG(seed, 1)))
				all.Wait()

				b.Expect(len(late)).To(BeNumerically(">", 60))
				b.Expect(slices.Max(late)).To(BeNumerically("<=", 1), "a recovery is one of the next two calls")
				b.Expect(probes).To(HaveLen(policies))
				b.Expect(slices.Max(probes)-slices.Min(probes)).To(BeNumerically("<=", 1), "they take turns")
				b.Expect(sum(probes)).To(BeNumerically(">", throttledFor.Seconds()*allowed/4/2), "a quarter of the calls, two each")
				b.Expect(b.direct.busiest(time.Minute)).To(BeNumerically("<=", 1.1*(60*allowed+allowed)))
				b.Expect(b.direct.calls()).To(BeNumerically("<=", 1.1*allowed*throttledFor.Seconds()))
				b.Expect(b.meter.with(OutcomeOK)).To(BeNumerically(">", 0.9*allowed*throttledFor.Seconds()))
				b.Expect(b.meter.with(OutcomeError)).To(BeZero())
				b.Expect(b.region.Budget.State().Throttled).To(BeTrue())
			})
		})
	}
}

// probe probes all policies in turn, and returns how often each was begun to be probed.
func (b *bubble) probe(ctx context.Context, all *sync.WaitGroup) []int {
	var mu sync.Mutex
	next, probes := 0, make([]int, policies)
	turn := func() {
		mu.Lock()
		defer mu.Unlock()
		probes[next%policies]++
		next++
	}
	ctx = WithPriority(ctx, PriorityProbe)
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				turn()
				// Some are refused too often: the next round comes.
				_, _ = b.region.Nodes(ctx, NodeFilter{InstanceIDs: []string{id(0)}})
				_ = b.send(ctx)
			}
		})
	}
	return probes
}

// read reads without a pause, which is more than the Tracker does.
func (b *bubble) read(ctx context.Context) {
	for ctx.Err() == nil {
		_, _ = whole(b.region.Commands(ctx, CommandFilter{After: b.clock.Now()}))
	}
}

// recover sends a recovery now and then, and returns how many calls were made between each decision and its send.
func (b *bubble) recover(ctx context.Context, rng *rand.Rand) []int {
	var late []int
	for n := 0; sleep(ctx, b.clock, time.Duration(rng.Int64N(int64(15*time.Second)))); n++ {
		name := fmt.Sprint("recovery ", n)
		before := b.direct.calls()
		if b.send(named(WithPriority(ctx, PriorityRecovery), name)) != nil && ctx.Err() != nil {
			break
		}
		late = append(late, b.direct.find(name)-before)
	}
	return late
}

func sum(all []int) int {
	total := 0
	for _, n := range all {
		total += n
	}
	return total
}

// find returns how many requests came before the one with a name.
func (d *direct) find(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.IndexFunc(d.requests, func(r request) bool { return r.name == name })
}

// busiest is the most requests that came within a time.
func (d *direct) busiest(within time.Duration) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	most, first := 0, 0
	for n, r := range d.requests {
		for r.at.Sub(d.requests[first].at) >= within {
			first++
		}
		most = max(most, n-first+1)
	}
	return most
}

func (c *counts) with(outcome Outcome) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for call, n := range c.calls {
		if strings.HasSuffix(call, string(outcome)) {
			total += n
		}
	}
	return total
}
