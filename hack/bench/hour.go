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
	// growth is by how much more than a tenth the live heap may differ, in MB: what happened to be in use when garbage was collected.
	growth = 4.0
)

// sample is the memory of the manager at a time, in bytes: what is resident, and what of the heap was in use when garbage was last
// collected.
type sample struct {
	at             time.Time
	resident, live int64
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
		r.result.tell("live heap, first 10 minutes", "%s MB", figure(megabytes(first.live)))
		r.result.atMost("live heap, last 10 minutes", megabytes(last.live), 1.1*megabytes(first.live)+growth, "MB", timed)
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
			// Go collects garbage when the heap is twice as large as what was live the last time.
			err = scrape(ctx, http.DefaultClient, r.metricsURL, "go_memstats_next_gc_bytes",
				func(_ map[string]string, value float64) { s.live = int64(value / 2) })
		}
		if err == nil {
			samples = append(samples, s)
		}
	}
}

// ends are the memory in the first and in the last slice: the medians.
func ends(samples []sample) (first, last sample) {
	begin, end := samples[0].at, samples[len(samples)-1].at
	medians := func(wanted func(sample) bool) sample {
		var resident, live []int64
		for _, s := range samples {
			if wanted(s) {
				resident, live = append(resident, s.resident), append(live, s.live)
			}
		}
		slices.Sort(resident)
		slices.Sort(live)
		return sample{resident: resident[len(resident)/2], live: live[len(live)/2]}
	}
	return medians(func(s sample) bool { return s.at.Sub(begin) <= slice }),
		medians(func(s sample) bool { return end.Sub(s.at) <= slice })
}
