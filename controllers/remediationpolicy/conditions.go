// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// latePeriods is after how many periods without a judged round the probes are late.
const latePeriods = 3

// setConditions is the only writer of the conditions of a policy.
func (s *scope) setConditions() {
	trouble := s.problem
	if trouble == nil {
		trouble = s.fleet.problem
	}
	s.setReady(trouble)
	s.setHealthy(trouble)
	s.setRemediationAllowed(trouble)
	s.setReconciling(trouble)
	s.setStalled(trouble)
}

func (s *scope) setReady(trouble *problem) {
	late := s.lateAt()
	switch {
	case s.policy.Spec.Suspend:
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended,
			"nothing is probed or recovered while spec.suspend is true")
	case trouble != nil:
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, trouble.reason, trouble.message)
	case !s.now.Before(late):
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProbesLate,
			fmt.Sprintf("no round of probes was judged for %d periods", latePeriods))
	case s.fleet.judgeTime.IsZero():
		s.lookAgain(late)
		s.set(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonFirstRound, "the first round of probes is under way")
	default:
		s.lookAgain(late)
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonProbing,
			fmt.Sprintf("probing %d instances every %d seconds", ptr.Deref(s.policy.Status.Targets, 0),
				s.policy.Spec.Probe.PeriodSeconds))
	}
}

// lateAt is when the probes are late if no round is judged before it.
func (s *scope) lateAt() time.Time {
	// A restart puts off what is late, but does not make it late.
	last := s.fleet.judgeTime
	if s.fleet.beginTime.After(last) {
		last = s.fleet.beginTime
	}
	period := time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second
	timeout := time.Duration(s.policy.Spec.Probe.TimeoutSeconds) * time.Second
	return last.Add(latePeriods*period + timeout + answerGrace + readGrace)
}

func (s *scope) setHealthy(trouble *problem) {
	status := &s.policy.Status
	targets, healthy, unhealthy := ptr.Deref(status.Targets, 0), ptr.Deref(status.Healthy, 0), ptr.Deref(status.Unhealthy, 0)
	switch {
	case s.policy.Spec.Suspend:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "nothing is probed while spec.suspend is true")
	case unhealthy > 0:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionFalse, v1alpha1.ReasonSomeUnhealthy,
			fmt.Sprintf("the process is down on %d of %d instances", unhealthy, targets))
	case trouble != nil && targets == 0:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, trouble.reason, trouble.message)
	case s.fleet.judgeTime.IsZero() && trouble == nil:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonFirstRound, "the first round of probes is under way")
	case targets == 0:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonNoTargets,
			"spec.targets matches no managed node in this account and region; check tags, region, and that the nodes are registered "+
				"with Systems Manager")
	case healthy < targets:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonSomeUnknown,
			fmt.Sprintf("%d of %d instances are Held or Unknown; status.summary says why", targets-healthy, targets))
	default:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionTrue, v1alpha1.ReasonAllHealthy,
			fmt.Sprintf("the process runs on all %d instances", targets))
	}
}

func (s *scope) setRemediationAllowed(trouble *problem) {
	stop := decide.Ineffective(&s.policy.Spec, s.instances())
	switch {
	case s.policy.Spec.Suspend:
		s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "spec.suspend is true")
	case trouble != nil:
		s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionFalse, trouble.reason, trouble.message)
	case stop != nil:
		s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionFalse, stop.Reason, stop.Message)
	case s.fleet.openProblem != nil:
		s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionFalse, v1alpha1.ReasonOpeningFailed,
			process.Printable(s.fleet.openProblem.Error(), maxMessage, ""))
	default:
		s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionTrue, v1alpha1.ReasonAllowed,
			"an instance that goes down is recovered within the limits")
	}
}

// setReconciling follows kstatus: the condition is there only while it is True.
func (s *scope) setReconciling(trouble *problem) {
	if s.policy.Spec.Suspend || trouble != nil || !s.fleet.judgeTime.IsZero() {
		meta.RemoveStatusCondition(&s.policy.Status.Conditions, v1alpha1.ConditionReconciling)
		return
	}
	s.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonFirstRound, "the first round of probes is under way")
}

// setStalled follows kstatus: the condition is there only while it is True.
func (s *scope) setStalled(trouble *problem) {
	if trouble == nil || !trouble.stalled || s.policy.Spec.Suspend {
		meta.RemoveStatusCondition(&s.policy.Status.Conditions, v1alpha1.ConditionStalled)
		return
	}
	s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, trouble.reason, trouble.message)
}

func (s *scope) set(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&s.policy.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: s.policy.Generation,
		LastTransitionTime: metav1.NewTime(s.now),
	})
}
