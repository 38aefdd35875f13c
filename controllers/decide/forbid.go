// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Surroundings are facts beside the policy that bear upon what may be done.
type Surroundings struct {
	// Stopped is set while the kill switch is there.
	Stopped bool
	// Namespace holds the annotations of the policy's Namespace.
	Namespace map[string]string
}

// Paused says why a policy neither probes nor recovers, nil when it does.
func Paused(policy *v1alpha1.RemediationPolicy, around Surroundings) *Wait {
	switch {
	case around.Stopped:
		return &Wait{Reason: v1alpha1.ReasonStopped, Message: "the kill switch is on: nothing is sent for any policy while the ConfigMap " +
			v1alpha1.KillSwitch + " exists in the manager's namespace"}
	case policy.Spec.Suspend:
		return &Wait{Reason: v1alpha1.ReasonSuspended, Message: "the policy is suspended (spec.suspend)"}
	}
	return nil
}

// BadWindow says what is wrong with spec.maintenanceWindows, nil when nothing is.
func BadWindow(now time.Time, spec *v1alpha1.RemediationPolicySpec) *Wait {
	if _, err := windowsOf(now, spec); err != nil {
		return &Wait{Reason: v1alpha1.ReasonInvalidMaintenanceWindow, Message: err.Error()}
	}
	return nil
}

// Forbidden says why nothing at all may be recovered under a policy right now, and until when; nil when something may.
func Forbidden(now time.Time, policy *v1alpha1.RemediationPolicy, around Surroundings) *Wait {
	windows, err := windowsOf(now, &policy.Spec)
	if err != nil {
		return cmp.Or(Paused(policy, around), BadWindow(now, &policy.Spec))
	}
	return cmp.Or(
		Paused(policy, around),
		silenced(now, "of the policy", policy.Annotations),
		silenced(now, "of the Namespace", around.Namespace),
		doesNotHelp(policy),
		tooMany(now, &policy.Spec, policy.Status.Breaker),
		outsideWindows(now, windows),
	)
}

// silenced waits for the end of a silence. A value that is no time silences nothing, and status.requests says so: a pause
// without an end would be forgotten.
func silenced(now time.Time, whose string, annotations map[string]string) *Wait {
	until, err := readTime(annotations[v1alpha1.AnnotationSilencedUntil])
	if err != nil || !until.After(now) {
		return nil
	}
	w := &Wait{Reason: v1alpha1.ReasonSilenced, Until: until, Message: fmt.Sprintf("silenced until %s by the annotation %s %s",
		until.UTC().Format(time.RFC3339), v1alpha1.AnnotationSilencedUntil, whose)}
	if why := annotations[v1alpha1.AnnotationSilenceReason]; why != "" {
		w.Message += ": " + why
	}
	return w
}
