// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// opening is a Remediation that has just been created, with what bears upon it.
type opening struct {
	*attempted
	now    time.Time
	owner  *v1alpha1.RemediationPolicy
	limits v1alpha1.LimitsSpec
	// before are the attempts on the instance so far, of all policies of that name.
	before []*attempted
}

// opened takes in a new Remediation, and checks that it may be there.
func (o *oracle) opened(r *v1alpha1.Remediation) *attempted {
	a := &attempted{
		RemediationSpec: &r.Spec, uid: r.UID, policy: r.Spec.PolicyRef.Name, result: v1alpha1.ResultRunning, sent: map[string]time.Time{},
	}
	o.telling("opened %v", a)
	o.counts["opened by "+a.policy]++
	chain := chainKey{a.policy, string(a.InstanceID)}
	open := opening{attempted: a, now: o.s.clock.Now(), owner: o.s.journal.policy(o.s.key(a.policy)), before: o.chains[chain]}
	o.attempts[a.uid], o.running[a.uid] = a, a
	o.chains[chain] = append(o.chains[chain], a)
	o.there++
	o.most = max(o.most, o.there)
	o.happens()
	if open.owner == nil || open.owner.UID != r.Spec.PolicyRef.UID || open.owner.Generation != r.Spec.PolicyRef.Generation {
		o.violated("%v was opened for a policy that is not there any more", a)
		return a
	}
	open.limits = open.owner.Spec.Limits
	checks := []func(opening) string{
		o.allowed, o.wanted, o.isDown, o.sequenceGrows, o.withinAttempts, o.afterBackoff, o.climbs, o.copied,
	}
	if len(o.attempts)%max(1, o.sparse) == 0 {
		checks = append(checks, o.hasPlace, o.helps)
	}
	for _, check := range checks {
		if wrong := check(open); wrong != "" {
			o.violated("%v was opened although %s", a, wrong)
		}
	}
	return a
}

// allowed checks what forbids all recovery.
func (o *oracle) allowed(open opening) string { return o.forbidden(open.owner, open.now) }

// forbidden says what forbids all recovery under a policy.
func (o *oracle) forbidden(policy *v1alpha1.RemediationPolicy, now time.Time) string {
	namespace := o.s.journal.meta("Namespace", keyIn("", o.s.namespace))
	switch {
	case o.s.journal.meta("ConfigMap", keyIn(o.s.home, v1alpha1.KillSwitch)) != nil:
		return "the kill switch is on"
	case policy.Spec.Suspend:
		return "the policy is suspended"
	case silenced(policy.Annotations, now), silenced(namespace.Annotations, now):
		return "the policy is silenced"
	case !windowOpen(policy.Spec.MaintenanceWindows, now):
		return "its maintenance windows forbid it"
	case policy.Status.Breaker != nil:
		return "the breaker is open"
	}
	return ""
}

func silenced(annotations map[string]string, now time.Time) bool {
	until, _ := time.Parse(time.RFC3339, annotations[v1alpha1.AnnotationSilencedUntil])
	return until.After(now)
}

// windowOpen tells whether recovery may run, for windows that begin once a day.
func windowOpen(windows []v1alpha1.MaintenanceWindow, now time.Time) bool {
	allowing, open := false, false
	for _, w := range windows {
		inside := inside(w, now)
		if w.Action == v1alpha1.WindowDeny && inside {
			return false
		}
		if w.Action == v1alpha1.WindowAllow {
			allowing, open = true, open || inside
		}
	}
	return !allowing || open
}

func inside(w v1alpha1.MaintenanceWindow, now time.Time) bool {
	var minute, hour int
	_, _ = fmt.Sscanf(w.Schedule, "%d %d * * *", &minute, &hour)
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		return false
	}
	local := now.In(zone)
	for _, day := range []int{-1, 0} {
		begin := time.Date(local.Year(), local.Month(), local.Day()+day, hour, minute, 0, 0, zone)
		if !now.Before(begin) && now.Before(begin.Add(time.Duration(w.DurationSeconds)*time.Second)) {
			return true
		}
	}
	return false
}

// wanted checks that the instance is one of the policy's.
func (o *oracle) wanted(open opening) string {
	m := o.s.byID[string(open.InstanceID)]
	switch {
	case m == nil || !targeted(&open.owner.Spec.Targets, m):
		return "the policy does not match the instance"
	case excluded(&open.owner.Spec.Targets, m):
		return "the instance is excluded"
	}
	return ""
}

// freshness is how old what is known of an instance may be when it is acted upon: that of the evidence, and the time that a
// pass may take to come.
const freshness = 10*time.Second + 60*time.Second + 5*time.Second

// isDown checks that the node said not long ago that the process is down.
func (o *oracle) isDown(open opening) string {
	m := o.s.byID[string(open.InstanceID)]
	if m == nil || open.now.Sub(m.lastDown) > freshness {
		return fmt.Sprintf("the process was not down on the node, for %v", open.now.Sub(m.lastDown))
	}
	return ""
}

// sequenceGrows checks that the number is the next one. It may begin again when the last record was pruned, which is not to
// be done before it is of no use.
func (o *oracle) sequenceGrows(open opening) string {
	last := int64(0)
	for _, a := range open.before {
		if !a.gone {
			last = max(last, a.Sequence)
		}
		if !a.gone && a.result == v1alpha1.ResultRunning {
			return fmt.Sprintf("%v has no result yet", a)
		}
	}
	if open.Sequence != last+1 {
		return fmt.Sprintf("the last one is #%d", last)
	}
	return ""
}

// void tells whether an attempt no longer counts.
func (open opening) void(a *attempted) bool {
	reset := open.owner.Status.ResetTime
	return reset != nil && a.OpenTime.Before(reset)
}

// withinAttempts checks limits.attempts.
func (o *oracle) withinAttempts(open opening) string {
	within := 0
	for _, a := range open.before {
		if !open.void(a) && a.result.CountsAsAttempt() && a.end.Add(time.Duration(open.limits.WindowSeconds)*time.Second).After(open.now) {
			within++
		}
	}
	if within >= int(open.limits.Attempts) {
		return fmt.Sprintf("there were %d attempts within the window", within)
	}
	return ""
}

// backoff is the pause after an attempt.
func backoff(a *attempted, limits v1alpha1.LimitsSpec) time.Duration {
	pause := limits.BackoffSeconds
	for n := int32(1); n < a.Attempt; n++ {
		pause = min(2*pause, limits.BackoffMaxSeconds)
	}
	return time.Duration(min(pause, limits.BackoffMaxSeconds)) * time.Second
}

// afterBackoff checks that the pause after the last attempt has passed.
func (o *oracle) afterBackoff(open opening) string {
	if len(open.before) == 0 {
		return ""
	}
	last := open.before[len(open.before)-1]
	if pause := backoff(last, open.limits); !open.void(last) && open.now.Before(last.end.Add(pause)) {
		return fmt.Sprintf("%v ended %v ago and has a pause of %v", last, open.now.Sub(last.end), pause)
	}
	return ""
}

// hasPlace checks limits.maxConcurrent.
func (o *oracle) hasPlace(open opening) string {
	most := mostAtOnce(open.owner, max(len(o.s.targets(open.owner)), deref(open.owner.Status.Targets)))
	taken := 0
	for key, chain := range o.chains {
		if key.policy == open.policy && o.takesPlace(open, chain[len(chain)-1]) {
			taken++
		}
	}
	if taken > most {
		return fmt.Sprintf("with it %d instances are under recovery, more than %d", taken, most)
	}
	return ""
}

func deref(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// takesPlace tells whether an instance is under recovery, by its last attempt.
func (o *oracle) takesPlace(open opening, last *attempted) bool {
	switch last.result {
	case v1alpha1.ResultRunning:
		return true
	case v1alpha1.ResultRecovered, v1alpha1.ResultNotNeeded:
		return false
	default:
		return !open.void(last) && open.now.Before(last.end.Add(backoff(last, open.limits)))
	}
}

// helps checks limits.stopAfterIneffective: so many attempts of this spec after the last one that helped.
func (o *oracle) helps(open opening) string {
	var ended []*attempted
	helped := time.Time{}
	for key, chain := range o.chains {
		if key.policy != open.policy {
			continue
		}
		for _, a := range chain {
			if !open.tells(a) {
				continue
			}
			ended = append(ended, a)
			if a.result == v1alpha1.ResultRecovered && a.end.After(helped) {
				helped = a.end
			}
		}
	}
	inRow := len(slices.DeleteFunc(ended, func(a *attempted) bool { return !a.end.After(helped) }))
	if inRow >= int(open.limits.StopAfterIneffective) {
		return fmt.Sprintf("the last %d attempts of this spec did not help", inRow)
	}
	return ""
}

// tells tells whether an attempt says something about the spec.
func (open opening) tells(a *attempted) bool {
	return a.PolicyRef == open.PolicyRef && a.result != v1alpha1.ResultRunning && a.result != v1alpha1.ResultObserved &&
		a.result.CountsAsAttempt() && !open.void(a)
}

// climbs checks the ladder: within an incident each attempt that counted goes one step up.
func (o *oracle) climbs(open opening) string {
	begins := open.Attempt == 1 && open.StepIndex == 0
	last := open.lastKept()
	if last == nil || open.void(last) {
		return unless(begins, "it is the first one")
	}
	number, step := last.Attempt, last.StepIndex
	if last.result.CountsAsAttempt() {
		number, step = number+1, step+1
	}
	top := int32(len(open.owner.Spec.Recovery.Steps) - 1)
	stable := time.Duration(open.owner.Spec.Recovery.StableSeconds) * time.Second
	switch {
	case begins && number != 1 && open.Detection.FirstFailureTime.Sub(last.end) < stable:
		return fmt.Sprintf("the incident of %v is not over", last)
	case !begins && (open.Attempt != number || open.StepIndex != min(step, top)):
		return fmt.Sprintf("it follows %v", last)
	}
	return ""
}

// lastKept is the last attempt of which there is a record; nil without one.
func (open opening) lastKept() *attempted {
	for _, a := range slices.Backward(open.before) {
		if !a.gone {
			return a
		}
	}
	return nil
}

// copied checks that the record is complete.
func (o *oracle) copied(open opening) string {
	spec := open.owner.Spec
	step := spec.Recovery.Steps[open.StepIndex]
	switch {
	case !equality.Semantic.DeepEqual(open.Process, spec.Process), open.Mode != spec.Mode,
		open.Step.Command != step.Command, !equality.Semantic.DeepEqual(open.Step.Document, step.Document),
		(open.Step.Reboot == nil) != (step.Reboot == nil):
		return "it says something else than the policy"
	case !open.OpenTime.Time.Equal(open.now.Truncate(time.Microsecond)), open.NotAfter.Sub(open.OpenTime.Time) != 2*time.Minute:
		return "its times are wrong"
	}
	return ""
}
