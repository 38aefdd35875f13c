// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Prunable returns the names of finished attempts that exceed history.limit, the oldest first. What a limit still looks at
// stays: an attempt within the window of limits.attempts, the newest one of an instance until its backoff and the time that
// ends its incident have passed, and as many of the present spec as limits.stopAfterIneffective counts. byInstance holds each
// instance's attempts, the oldest first.
func Prunable(now time.Time, spec *v1alpha1.RemediationPolicySpec, instances []Instance) []string {
	var finished, free []Attempt
	for i := range instances {
		attempts, health := instances[i].Attempts, instances[i].State.Health
		// Where the process does not run, the ladder goes on from the newest one.
		goesOn := health != v1alpha1.HealthHealthy && health != ""
		for n, a := range attempts {
			if a.Running() {
				continue
			}
			finished = append(finished, a)
			newest := n == len(attempts)-1
			if !needed(now, spec, a, newest) && (!newest || !goesOn) {
				free = append(free, a)
			}
		}
	}
	free = slices.DeleteFunc(free, isOneOf(lastOfSpec(finished, int(spec.Limits.StopAfterIneffective))))
	excess := len(finished) - int(spec.History.Limit)
	if excess <= 0 {
		return nil
	}
	slices.SortFunc(free, func(a, b Attempt) int { return newestFirst(b, a) })
	var names []string
	for _, a := range free[:min(excess, len(free))] {
		names = append(names, a.Name)
	}
	return names
}

// mostTTL is the maximum of history.ttlSeconds, in seconds: a year.
const mostTTL = 31_536_000

// LeastTTL is how long after its end an attempt is kept at the least, in seconds, because a limit still looks at it: within its
// window, until the time that ends its incident has passed, and as long as it takes one instance alone to make
// limits.stopAfterIneffective attempts, but no longer than any attempt can be kept.
func LeastTTL(spec *v1alpha1.RemediationPolicySpec) int32 {
	limits := &spec.Limits
	attempts := max(1, int64(limits.Attempts))
	windows := (int64(limits.StopAfterIneffective) + attempts - 1) / attempts
	row := max(1, windows)*int64(limits.WindowSeconds) + int64(limits.BackoffMaxSeconds)
	return int32(min(max(row, int64(spec.Recovery.StableSeconds)), mostTTL))
}

// lastOfSpec are the newest attempts of the present spec that counted, at most so many.
func lastOfSpec(finished []Attempt, most int) []Attempt {
	last := slices.DeleteFunc(slices.Clone(finished), func(a Attempt) bool {
		return !a.Current || !a.counts()
	})
	slices.SortFunc(last, newestFirst)
	return last[:min(most, len(last))]
}

func isOneOf(attempts []Attempt) func(Attempt) bool {
	return func(a Attempt) bool {
		return slices.ContainsFunc(attempts, func(other Attempt) bool { return other.Name == a.Name })
	}
}

// needed reports whether a limit still looks at a finished attempt.
func needed(now time.Time, spec *v1alpha1.RemediationPolicySpec, a Attempt, newest bool) bool {
	if a.counts() && a.leaves(spec.Limits).After(now) {
		return true
	}
	pause := max(seconds(spec.Limits.BackoffMaxSeconds), seconds(spec.Recovery.StableSeconds))
	return newest && a.EndTime.Add(pause).After(now)
}
