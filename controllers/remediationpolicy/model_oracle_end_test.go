// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// compare checks that a record only grows.
func (o *oracle) compare(a *attempted, before, after *v1alpha1.Remediation) {
	if !equality.Semantic.DeepEqual(before.Spec, after.Spec) {
		o.violated("the spec of %v was changed", a)
	}
	if is := resultOf(before); is != v1alpha1.ResultRunning && is != resultOf(after) {
		o.violated("the result of %v was %s and is %s", a, is, resultOf(after))
	}
	for _, was := range before.Status.Commands {
		is := commandOf(after, was.Purpose)
		looks := was.Purpose == v1alpha1.CommandPurposeVerify
		if was.CommandID != "" && !looks && (is == nil || is.CommandID != was.CommandID || !is.IntentTime.Equal(&was.IntentTime)) {
			o.violated("the command %s of %v was replaced", was.Purpose, a)
		}
	}
}

// ended takes in a result, and checks that it is what happened.
func (o *oracle) ended(a *attempted, r *v1alpha1.Remediation, result v1alpha1.Result) {
	o.act()
	a.result = result
	delete(o.running, a.uid)
	if r.Status.CompletionTime == nil {
		o.violated("%v ended as %s without a time", a, result)
		return
	}
	a.end = r.Status.CompletionTime.Time
	o.telling("%v ended as %s", a, result)
	o.counts["results "+string(result)]++
	o.happens()
	if wrong := o.untrue(a); wrong != "" {
		o.violated("%v ended as %s although %s", a, result, wrong)
	}
}

// untrue says why the result of an attempt is not what happened.
func (o *oracle) untrue(a *attempted) string {
	acted, nothing, something := len(a.effects) > 0, "nothing was done", "something was done"
	at, sent := a.sent[string(v1alpha1.CommandPurposeRun)]
	switch a.result {
	case v1alpha1.ResultRecovered:
		if !acted {
			return nothing
		}
		return o.unhealed(a)
	case v1alpha1.ResultIneffective, v1alpha1.ResultFailed, v1alpha1.ResultTimedOut:
		// A document that was cancelled may or may not have run.
		return unless(acted || a.Step.Document != nil, nothing)
	case v1alpha1.ResultWithdrawn:
		return unless(!acted && !sent, something+fmt.Sprintf(", or sent at %v", at.Sub(o.s.began)))
	case v1alpha1.ResultObserved:
		return unless(!acted && a.Mode == v1alpha1.ModeObserve, something)
	case v1alpha1.ResultNotNeeded, v1alpha1.ResultWithheld, v1alpha1.ResultNotDelivered:
		return unless(!acted, something)
	case v1alpha1.ResultLost, v1alpha1.ResultRunning:
	}
	return ""
}

// unless is what is wrong unless it is right.
func unless(right bool, wrong string) string {
	if right {
		return ""
	}
	return wrong
}

// unhealed says why an attempt that acted cannot have seen the process running after that.
func (o *oracle) unhealed(a *attempted) string {
	acted, m := a.effects[0].Time, o.s.byID[string(a.InstanceID)]
	started, helped := m.startedBy(string(a.uid))
	switch {
	// Ends are in the precision of the API.
	case helped && !started.Truncate(time.Microsecond).After(a.end), !m.lastUp.Before(acted):
		return ""
	default:
		return "the process did not run after that"
	}
}
