// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// leastUnhealthy is what a percentage of limits.maxUnhealthy never goes below: half of a fleet of two is one instance, and one
// that is down is what this is for.
const leastUnhealthy = 3

// MaxUnhealthy is how many instances may be down at once before the breaker opens.
func MaxUnhealthy(limit *intstr.IntOrString, targets int) int {
	if limit == nil {
		limit = &intstr.IntOrString{Type: intstr.String, StrVal: "50%"}
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(limit, targets, false)
	if err != nil {
		// The API server admits nothing that cannot be read. Should it have, the least is right.
		return 1
	}
	if limit.Type == intstr.String {
		n = max(n, leastUnhealthy)
	}
	return n
}

// census counts what the breaker looks at.
type census struct {
	// down are the Unhealthy instances.
	down int
	// open are those that the answers still to come may add: a probe has failed once, the round under way has not been answered,
	// nothing is known yet, or it was down when it was last looked at, and its agent is there.
	open int
}

// gone reports whether the inventory says that the node is not there: it may stay so for weeks, and nothing can be done to it.
func gone(s *State) bool { return s.Reason == ReasonNodeNotManaged || s.Reason == ReasonNodeOffline }

func count(instances []Instance) census {
	var c census
	for i := range instances {
		s := &instances[i].State
		switch {
		case s.Health == v1alpha1.HealthUnhealthy:
			c.down++
		case instances[i].Pending, s.Failures > 0, s.Reason == ReasonNotProbed, s.Health == v1alpha1.HealthUnknown && s.WasDown && !gone(s):
			c.open++
		}
	}
	return c
}

// Breaker is status.breaker after a look at the instances, nil while recovery may run. It opens as soon as more than
// limits.maxUnhealthy are down, and lets go when no more than that were down for the time of two rounds, in which each instance
// was probed again: one that lets go at once would flap around the limit.
func Breaker(
	now time.Time, spec *v1alpha1.RemediationPolicySpec, targets int, instances []Instance, recorded *v1alpha1.BreakerStatus,
) *v1alpha1.BreakerStatus {
	limit, c := MaxUnhealthy(spec.Limits.MaxUnhealthy, targets), count(instances)
	if recorded == nil {
		if c.down <= limit {
			return nil
		}
		return &v1alpha1.BreakerStatus{OpenTime: metav1.NewMicroTime(now), Unhealthy: int32(c.down), Limit: int32(limit)}
	}
	next := recorded.DeepCopy()
	next.Limit = int32(limit)
	switch {
	case c.down > limit:
		next.BelowTime = nil
	case c.down+c.open > limit:
		// Not known yet: it neither begins nor ends the time below.
	case next.BelowTime == nil, next.BelowTime.After(now):
		// One that is still to come was recorded before the clock was set back.
		next.BelowTime = new(metav1.NewMicroTime(now))
	case !now.Before(letsGo(spec, next)):
		return nil
	}
	return next
}

// lateness is how much longer than a period a round of probes may take.
const lateness = 30 * time.Second

// letsGo is when a breaker lets go that is below its limit. A round of probes that begins after BelowTime begins within that
// of a round, and is over within another.
func letsGo(spec *v1alpha1.RemediationPolicySpec, b *v1alpha1.BreakerStatus) time.Time {
	return b.BelowTime.Add(2 * (seconds(spec.Probe.PeriodSeconds) + lateness))
}

// tooMany waits for an open breaker.
func tooMany(now time.Time, spec *v1alpha1.RemediationPolicySpec, b *v1alpha1.BreakerStatus) *Wait {
	if b == nil {
		return nil
	}
	w := &Wait{Reason: v1alpha1.ReasonTooManyUnhealthy}
	if b.BelowTime == nil {
		w.Message = fmt.Sprintf("more than %d instances are down (limits.maxUnhealthy), so something else is wrong than the instances; "+
			"nothing is touched before no more than that are down for two rounds of probes", b.Limit)
		return w
	}
	if at := letsGo(spec, b); at.After(now) {
		// Past it, it waits for answers.
		w.Until = at
	}
	w.Message = fmt.Sprintf("%d instances were down at once, more than %d (limits.maxUnhealthy); no more than that are now, and recovery "+
		"goes on when that has lasted for two rounds of probes", b.Unhealthy, b.Limit)
	return w
}

// undecided waits for answers that may yet open the breaker. Where they cannot, nothing waits for them.
func undecided(spec *v1alpha1.RemediationPolicySpec, targets int, instances []Instance) *Wait {
	limit, c := MaxUnhealthy(spec.Limits.MaxUnhealthy, targets), count(instances)
	if c.down+c.open <= limit {
		return nil
	}
	// Without the numbers, which change with every answer.
	return &Wait{Reason: v1alpha1.BlockedAwaitingRound, Message: fmt.Sprintf(
		"the answers that are still to come may show more than %d instances down (limits.maxUnhealthy)", limit)}
}
