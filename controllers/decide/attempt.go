// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Attempt is what the limits need to know of a Remediation.
type Attempt struct {
	Name string
	// UID is empty for a claim.
	UID      string
	Sequence int64
	// Number is the number of the attempt within its incident, from 1.
	Number int32
	// Step is its place in the ladder, from 0.
	Step   int32
	Result v1alpha1.Result
	// EndTime is when its result was recorded; zero while it runs.
	EndTime time.Time
	// Current is whether it was opened under the present spec of the present policy.
	Current bool
	// Void means that no limit counts it and no backoff follows from it: it ended before the last reset, or was only observed
	// by a policy that acts now. Its sequence still counts.
	Void bool
	// NotAfter ends a claim: an attempt that was announced in the policy's status, but for which no Remediation exists.
	NotAfter time.Time
}

// AttemptOf reads the facts that are recorded in a Remediation, for the policy as it is now.
func AttemptOf(r *v1alpha1.Remediation, policy *v1alpha1.RemediationPolicy) Attempt {
	a := Attempt{
		Name:     r.Name,
		UID:      string(r.UID),
		Sequence: r.Spec.Sequence,
		Number:   r.Spec.Attempt,
		Step:     r.Spec.StepIndex,
		Result:   ResultOf(r),
		Current:  r.Spec.PolicyRef.UID == policy.UID && r.Spec.PolicyRef.Generation == policy.Generation,
	}
	if a.Result != v1alpha1.ResultRunning && r.Status.CompletionTime != nil {
		a.EndTime = r.Status.CompletionTime.Time
		observed := a.Result == v1alpha1.ResultObserved && policy.Spec.Mode != v1alpha1.ModeObserve
		a.Void = observed || (policy.Status.ResetTime != nil && r.Spec.OpenTime.Before(policy.Status.ResetTime))
	}
	return a
}

// ResultOf is the result of a Remediation; Running when there is none yet.
func ResultOf(r *v1alpha1.Remediation) v1alpha1.Result {
	complete := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionComplete)
	if complete == nil || complete.Status != "True" {
		return v1alpha1.ResultRunning
	}
	return v1alpha1.Result(complete.Reason)
}

// newestFirst puts attempts into the order in which they ended. Those that ended at the same time are in that of their names: the
// same facts have to give the same answer in every pass.
func newestFirst(a, b Attempt) int {
	return cmp.Or(b.EndTime.Compare(a.EndTime), cmp.Compare(a.Name, b.Name))
}

// Running reports whether the attempt has no result yet.
func (a Attempt) Running() bool { return a.Result == v1alpha1.ResultRunning }

// counts reports whether limits count the attempt.
func (a Attempt) counts() bool { return !a.Void && a.Result.CountsAsAttempt() }

// healed reports whether the attempt left the instance healthy.
func (a Attempt) healed() bool {
	return a.Result == v1alpha1.ResultRecovered || a.Result == v1alpha1.ResultNotNeeded
}

// backoffUntil is when the pause after an ended attempt is over. It doubles with each attempt of the incident.
func (a Attempt) backoffUntil(l v1alpha1.LimitsSpec) time.Time {
	if a.Void {
		return a.EndTime
	}
	pause, most := seconds(l.BackoffSeconds), seconds(l.BackoffMaxSeconds)
	for n := int32(1); n < a.Number && pause < most; n++ {
		pause *= 2
	}
	return a.EndTime.Add(min(pause, most))
}

// leaves is when an ended attempt leaves the window. It acted before its end, so that no window of that length sees more than
// limits.attempts act.
func (a Attempt) leaves(l v1alpha1.LimitsSpec) time.Time {
	return a.EndTime.Add(seconds(l.WindowSeconds))
}

// inWindow returns the counted attempts within the window that ends now, the oldest first. One that runs is always in it.
func inWindow(now time.Time, attempts []Attempt, l v1alpha1.LimitsSpec) []Attempt {
	var counted []Attempt
	for _, a := range attempts {
		if a.counts() && (a.Running() || a.leaves(l).After(now)) {
			counted = append(counted, a)
		}
	}
	return counted
}

func newest(attempts []Attempt) (Attempt, bool) {
	if len(attempts) == 0 {
		return Attempt{}, false
	}
	return attempts[len(attempts)-1], true
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
