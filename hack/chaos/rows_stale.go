// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"
)

// staleRows hold watches back, so that a manager decides on what was: the states of the cache that Sieve (OSDI'22) tells
// apart. A stale one is behind, an unobserved one never shows what happened in between, and an intermediate one is what a
// manager finds that has crashed halfway.
func staleRows() []*row {
	return []*row{
		{point: "cache of Remediations", fault: "stale", bounded: true, meddle: holding(false, (*gate).release, kindRemWatch)},
		{point: "cache of Remediations", fault: "unobserved events", meddle: holding(false, (*gate).forget, kindRemWatch)},
		{point: "cache of policies", fault: "stale", meddle: holding(false, (*gate).release, kindPolWatch)},
		{point: "cache of policies", fault: "unobserved events", meddle: holding(false, (*gate).forget, kindPolWatch)},
		{point: "all caches", fault: "stale", meddle: holding(false, (*gate).release, kindRemWatch, kindPolWatch)},
		{point: "all caches", fault: "stale, SIGKILL meanwhile", meddle: holding(true, (*gate).release, kindRemWatch, kindPolWatch)},
		{point: "cache of another replica", fault: "stale, it leads while the first is frozen", replicas: 2, bounded: true,
			meddle: staleLeader},
	}
}

// holding holds watches back for a while, again and again. Before they go on, the manager may be killed.
func holding(kill bool, end func(*gate), kinds ...string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		manager := r.replicas[0]
		for ctx.Err() == nil {
			r.sleep(ctx, r.between(5*time.Second, 20*time.Second))
			for _, kind := range kinds {
				manager.gates.of(kind).hold()
			}
			r.hit()
			// More go down than may be recovered at once.
			r.fail(mostAtOnce, r.fleets...)
			r.sleep(ctx, r.between(20*time.Second, 3*time.Minute))
			if kill {
				manager.kill()
			}
			for _, kind := range kinds {
				end(manager.gates.of(kind))
			}
		}
		return nil
	}
}

// staleLeader lets a replica lead whose caches are behind, while the first one is frozen.
func staleLeader(ctx context.Context, r *run) error {
	for n := 0; n < 2 && ctx.Err() == nil; n++ {
		r.sleep(ctx, r.between(10*time.Second, 20*time.Second))
		for i, replica := range r.replicas {
			other := r.replicas[1-i]
			for _, kind := range []string{kindRemWatch, kindPolWatch} {
				other.gates.of(kind).hold()
			}
			r.sleep(ctx, 15*time.Second)
			r.hit()
			r.fail(mostAtOnce, r.fleets...)
			replica.freeze(ctx, leaseDuration+3*time.Second)
			r.sleep(ctx, 30*time.Second)
			for _, kind := range []string{kindRemWatch, kindPolWatch} {
				other.gates.of(kind).release()
			}
		}
	}
	return nil
}
