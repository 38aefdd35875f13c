// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"slices"
	"time"
)

const (
	// warmUp is how long caches may take to fill before the hour begins.
	warmUp = 10 * time.Minute
	// slice is what is compared: the first of the hour with the last one.
	slice = 10 * time.Minute
	// growth is by how much more than a tenth the heap may differ, in MB: garbage that was not collected yet.
	growth = 4.0
)

// sample is the memory of the manager at a time, in bytes.
type sample struct {
	at             time.Time
	resident, heap int64
}

// hour measures the costs of a healthy fleet over an hour, and whether memory grows in it.
func hour(limit float64) phase {
	return func(ctx context.Context, r *run) error {
		if err := r.sleep(ctx, warmUp); err != nil {
			return err
		}
		sampling, stop := context.WithCancel(ctx)
		defer stop()
		samples := make(chan []sample, 1)
		go func() { samples <- r.sample(sampling) }()
		if err := steady(int(time.Hour/period), limit)(ctx, r); err != nil {
			return err
		}
		stop()
		all := <-samples
		if len(all) == 0 {
			r.result.mustBe("memory was read", false, "the metrics cannot be read", timed)
			return nil
		}
		first, last := ends(all)
		r.result.tell("resident memory, first and last 10 minutes", "%s MB, %s MB",
			figure(megabytes(first.resident)), figure(megabytes(last.resident)))
		r.result.tell("live heap, first 10 minutes", "%s MB", figure(megabytes(first.heap)))
		r.result.atMost("live heap, last 10 minutes", megabytes(last.heap), 1.1*megabytes(first.heap)+growth, "MB", timed)
		return nil
	}
}

// sample reads the memory every second of real time until ctx ends.
func (r *run) sample(ctx context.Context) []sample {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var samples []sample
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-ticker.C:
		}
		s := sample{at: r.clock.Now()}
		m, err := memoryOf(r.manager.PID())
		s.resident = m.resident
		if err == nil {
			err = scrape(ctx, http.DefaultClient, r.metricsURL, "go_memstats_heap_alloc_bytes",
				func(_ map[string]string, value float64) { s.heap = int64(value) })
		}
		if err == nil {
			samples = append(samples, s)
		}
	}
}

// ends are the memory in the first and in the last slice: the median of what was resident, and the least that the heap held,
// which is what is left right after garbage was collected.
func ends(samples []sample) (first, last sample) {
	begin, end := samples[0].at, samples[len(samples)-1].at
	summary := func(wanted func(sample) bool) sample {
		some := slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return !wanted(s) })
		slices.SortFunc(some, func(a, b sample) int { return int(a.resident - b.resident) })
		least := slices.MinFunc(some, func(a, b sample) int { return int(a.heap - b.heap) })
		return sample{resident: some[len(some)/2].resident, heap: least.heap}
	}
	return summary(func(s sample) bool { return s.at.Sub(begin) <= slice }),
		summary(func(s sample) bool { return end.Sub(s.at) <= slice })
}
