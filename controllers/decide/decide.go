// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Instance is what is known of one instance.
type Instance struct {
	ID    string
	State State
	// Attempts are those of all policies of this name on the instance, the oldest first.
	Attempts []Attempt
	// Pending is set while a round of probes is under way that the instance has not answered yet.
	Pending bool
}

// Act says which attempt to open.
type Act struct {
	// Sequence numbers it among all attempts on the instance, Number within its incident; both from 1.
	Sequence int64
	Number   int32
	// Step is the place of its step in the ladder, from 0.
	Step int32
}

// Wait says why an instance is not recovered right now.
type Wait struct {
	// Reason is one of the constants Blocked... of the API, or a reason of RemediationAllowed.
	Reason  string
	Message string
	// Until is when it is to be looked at again; zero when that depends on something else than the clock.
	Until time.Time
}

// Decision is about one instance that is not Healthy. It holds an Act or a Wait.
type Decision struct {
	InstanceID string
	Act        *Act
	Wait       *Wait
}

// Fleet decides for all instances of a policy that are not Healthy. Places go to those that were not tried yet, in the order
// in which they went down, and then to those whose last attempt ended longest ago: one that cannot be recovered must not
// starve the others. targets is how many the policy matches, and forbidden what forbids all recovery right now (Forbidden).
func Fleet(
	now time.Time, spec *v1alpha1.RemediationPolicySpec, targets int, instances []Instance, forbidden *Wait,
) []Decision {
	so := try(instances)
	most, taken := MaxConcurrent(spec.Limits.MaxConcurrent, targets), slots(now, spec, instances)
	unknown := undecided(spec, targets, instances)
	var decisions []Decision
	opening := 0
	for _, i := range inOrder(instances) {
		if i.State.Health == v1alpha1.HealthHealthy || i.State.Health == "" {
			continue
		}
		decision := one(now, spec, i, forbidden)
		// One that holds a place already waits, for its attempt or its backoff. One that needs a place is not probed for it before
		// there is one.
		if decision.Act != nil || decision.Wait.Reason == v1alpha1.BlockedAwaitingProbe {
			decision.Wait = cmp.Or(full(taken+opening, most), so.unproven(spec, opening), decision.Wait, unknown)
		}
		if decision.Wait != nil {
			decision.Act = nil
		} else {
			opening++
		}
		decisions = append(decisions, decision)
	}
	return decisions
}

// inOrder is the order in which places are given.
func inOrder(instances []Instance) []*Instance {
	order := make([]*Instance, len(instances))
	for i := range instances {
		order[i] = &instances[i]
	}
	slices.SortFunc(order, func(a, b *Instance) int {
		triedA, _ := newest(a.Attempts)
		triedB, _ := newest(b.Attempts)
		return cmp.Or(triedA.EndTime.Compare(triedB.EndTime), a.State.DownTime.Compare(b.State.DownTime), cmp.Compare(a.ID, b.ID))
	})
	return order
}

// slots is how many places of maxConcurrent are taken.
func slots(now time.Time, spec *v1alpha1.RemediationPolicySpec, instances []Instance) int {
	taken := 0
	for i := range instances {
		if holdsSlot(now, spec, &instances[i]) {
			taken++
		}
	}
	return taken
}

// full waits for a place.
func full(taken, most int) *Wait {
	if taken < most {
		return nil
	}
	return &Wait{Reason: v1alpha1.BlockedMaxConcurrent,
		Message: fmt.Sprintf("%d of at most %d instances are under recovery (limits.maxConcurrent)", taken, most)}
}

// holdsSlot reports whether an instance takes one of the places of maxConcurrent: its attempt runs, or did not recover it
// and is in its backoff.
func holdsSlot(now time.Time, spec *v1alpha1.RemediationPolicySpec, i *Instance) bool {
	last, ok := newest(i.Attempts)
	switch {
	case !ok:
		return false
	case slices.ContainsFunc(i.Attempts, Attempt.Running):
		return true
	default:
		return !last.healed() && last.backoffUntil(spec.Limits).After(now)
	}
}

// one decides for an instance that is not Healthy, apart from the place it needs. What forbids recovery is said before what
// only puts it off.
func one(now time.Time, spec *v1alpha1.RemediationPolicySpec, i *Instance, forbidden *Wait) Decision {
	last, _ := newest(i.Attempts)
	wait := cmp.Or(inProgress(i.Attempts), notDown(i.State), forbidden, backingOff(now, spec, last), exhausted(now, spec, i.Attempts),
		awaitingProbe(now, spec, i.State, last))
	if wait != nil {
		return Decision{InstanceID: i.ID, Wait: wait}
	}
	return Decision{InstanceID: i.ID, Act: next(spec, i.State, last)}
}

// notDown says of an instance that is Held or Unknown that it is left alone.
func notDown(s State) *Wait {
	switch {
	case s.Health == v1alpha1.HealthHeld:
		return &Wait{Reason: v1alpha1.BlockedHeld, Message: "the node says hands off; every probe asks it again"}
	case s.Health != v1alpha1.HealthUnknown:
		return nil
	case s.Reason == ReasonConfirming:
		return &Wait{Reason: v1alpha1.BlockedConfirming, Message: "further probes have to find the process down (probe.failureThreshold)"}
	default:
		return &Wait{Reason: v1alpha1.BlockedUnknown, Message: "whether the process is down is not known, and nothing is done on a guess; " +
			"every probe looks again"}
	}
}

// inProgress waits for the end of an attempt. As a rule that is the last one; an older one runs when its result was lost, as by
// restoring it without its status.
func inProgress(attempts []Attempt) *Wait {
	for _, a := range slices.Backward(attempts) {
		switch {
		case !a.Running():
		case !a.NotAfter.IsZero():
			return &Wait{v1alpha1.BlockedInProgress, fmt.Sprintf("Remediation %s is being opened", a.Name), a.NotAfter}
		default:
			return &Wait{Reason: v1alpha1.BlockedInProgress, Message: fmt.Sprintf("Remediation %s is running", a.Name)}
		}
	}
	return nil
}

// backingOff waits until the backoff of the last attempt is over.
func backingOff(now time.Time, spec *v1alpha1.RemediationPolicySpec, last Attempt) *Wait {
	if last.Sequence == 0 || !last.backoffUntil(spec.Limits).After(now) {
		return nil
	}
	return &Wait{v1alpha1.BlockedBackoff, fmt.Sprintf("attempt %d ended as %s; the next one waits (limits.backoffSeconds)",
		last.Number, last.Result), last.backoffUntil(spec.Limits)}
}

// exhausted waits until an attempt has left the window, when it is full.
func exhausted(now time.Time, spec *v1alpha1.RemediationPolicySpec, attempts []Attempt) *Wait {
	counted := inWindow(now, attempts, spec.Limits)
	surplus := len(counted) - int(spec.Limits.Attempts)
	if surplus < 0 {
		return nil
	}
	return &Wait{v1alpha1.BlockedAttemptsExhausted, fmt.Sprintf(
		"%d attempts within %d seconds (limits.attempts, limits.windowSeconds)", len(counted), spec.Limits.WindowSeconds),
		counted[surplus].leaves(spec.Limits)}
}

// awaitingProbe waits for evidence that is fresh, and from after the last attempt.
func awaitingProbe(now time.Time, spec *v1alpha1.RemediationPolicySpec, s State, last Attempt) *Wait {
	if s.Down(spec.Probe) && !s.Last.ProbeTime.Before(last.EndTime) && !s.stale(now, spec.Probe) {
		return nil
	}
	return &Wait{Reason: v1alpha1.BlockedAwaitingProbe, Message: "the next probe has to find the process down again"}
}

// next is the attempt that follows. Within an incident each attempt that counted moves one step up the ladder, and the last
// step is repeated.
func next(spec *v1alpha1.RemediationPolicySpec, s State, last Attempt) *Act {
	act := &Act{Sequence: last.Sequence + 1, Number: 1}
	if last.Sequence == 0 || last.Void || over(s, last, seconds(spec.Recovery.StableSeconds)) {
		return act
	}
	act.Number, act.Step = last.Number, last.Step
	if last.Result.CountsAsAttempt() {
		act.Number++
		act.Step++
	}
	// The ladder may have become shorter since.
	act.Step = min(act.Step, int32(len(spec.Recovery.Steps)-1))
	return act
}

// over reports whether the incident of the last attempt is over: since then the instance was seen healthy for the stable
// time, or, as far as is known, that attempt healed it that long before the first failure.
func over(s State, last Attempt, stable time.Duration) bool {
	begin := s.Spell.Start
	if begin.Before(last.EndTime) {
		begin = last.EndTime
	}
	if s.Spell.End.Sub(begin) >= stable {
		return true
	}
	return last.healed() && !s.FirstFailure.Before(last.EndTime.Add(stable))
}

// maxConcurrentByPercent bounds a percentage: a tenth of ten thousand at once would be a storm of its own.
const maxConcurrentByPercent = 25

// MaxConcurrent is how many instances may be under recovery at once: a number, or a percentage of the targets rounded up,
// at least 1 and at most 25.
func MaxConcurrent(limit *intstr.IntOrString, targets int) int {
	if limit == nil {
		limit = &intstr.IntOrString{Type: intstr.String, StrVal: "10%"}
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(limit, targets, true)
	if err != nil {
		// The API server admits nothing that cannot be read. Should it have, the least is right.
		return 1
	}
	if limit.Type == intstr.String {
		n = min(n, maxConcurrentByPercent)
	}
	return max(n, 1)
}
