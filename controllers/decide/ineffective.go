// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// trial is how the attempts of the present spec have done so far, over the whole fleet.
type trial struct {
	// inRow is how many of the last ones in a row did not recover their instance, running how many have no result yet.
	inRow, running int
	// proven is whether any of them has.
	proven bool
}

// try reads how the attempts of the present spec have done. Those that touched nothing say nothing.
func try(instances []Instance) trial {
	var t trial
	var ended []Attempt
	for i := range instances {
		for _, a := range instances[i].Attempts {
			switch {
			case !a.Current || !a.counts() || a.Result == v1alpha1.ResultObserved:
			case a.Running():
				t.running++
			default:
				ended = append(ended, a)
			}
		}
	}
	slices.SortFunc(ended, newestFirst)
	for _, a := range ended {
		if a.Result == v1alpha1.ResultRecovered {
			t.proven = true
			break
		}
		t.inRow++
	}
	return t
}

// Ineffective is status.ineffective after a look at the attempts, nil while the recovery may help. It outlives the attempts that
// it was concluded from, and ends with the spec, by a reset, or when an attempt that was under way has helped after all.
func Ineffective(now time.Time, policy *v1alpha1.RemediationPolicy, instances []Instance) *v1alpha1.IneffectiveStatus {
	recorded, t := policy.Status.Ineffective, try(instances)
	if recorded != nil && recorded.Generation != policy.Generation {
		recorded = nil
	}
	reset := policy.Status.ResetTime
	switch {
	case recorded == nil && t.inRow >= int(policy.Spec.Limits.StopAfterIneffective):
		return &v1alpha1.IneffectiveStatus{
			Generation: policy.Generation, Time: metav1.NewMicroTime(now), Attempts: int32(t.inRow),
		}
	case recorded == nil, t.proven && t.inRow == 0, reset != nil && !reset.Time.Before(recorded.Time.Time):
		return nil
	}
	return recorded
}

// doesNotHelp waits for what ends status.ineffective.
func doesNotHelp(policy *v1alpha1.RemediationPolicy) *Wait {
	i := policy.Status.Ineffective
	if i == nil || i.Generation != policy.Generation {
		return nil
	}
	return &Wait{Reason: v1alpha1.ReasonRecoveryIneffective, Message: fmt.Sprintf(
		"%d attempts in a row over the fleet did not recover their instances (limits.stopAfterIneffective): the recovery seems to be "+
			"wrong, not the nodes; look at the Remediations and change the spec, or annotate the policy with %s", i.Attempts,
		v1alpha1.AnnotationResetAt)}
}

// unproven waits while as many attempts are under way as may turn out not to help, and none has helped so far.
func (t trial) unproven(spec *v1alpha1.RemediationPolicySpec, opening int) *Wait {
	if t.proven || t.inRow+t.running+opening < int(spec.Limits.StopAfterIneffective) {
		return nil
	}
	return &Wait{Reason: v1alpha1.BlockedUnproven, Message: fmt.Sprintf(
		"%d attempts are under way, and none of this spec has recovered its instance so far (limits.stopAfterIneffective)",
		t.running+opening)}
}
