// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"cmp"
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
	trouble := cmp.Or(s.problem, s.fleet.problem)
	unaccepted := trouble
	if bad := decide.BadWindow(s.now, &s.policy.Spec); bad != nil && trouble == nil {
		unaccepted = &problem{bad.Reason, bad.Message + "; nothing is recovered before that is corrected", true}
	}
	s.setReady(unaccepted)
	s.setHealthy(trouble)
	s.setRemediationAllowed(cmp.Or(s.problem, s.blind()))
	s.setReconciling(trouble)
	s.setStalled(unaccepted)
}

func (s *scope) setReady(trouble *problem) {
	late := s.lateAt()
	switch {
	case s.paused != nil:
		// A suspended policy is as its user wants it; the kill switch is an emergency.
		status := metav1.ConditionFalse
		if s.paused.Reason == v1alpha1.ReasonSuspended {
			status = metav1.ConditionTrue
		}
		s.set(v1alpha1.ConditionReady, status, s.paused.Reason, s.paused.Message+": nothing is probed or recovered")
	case trouble != nil:
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, trouble.reason, trouble.message)
	case !s.now.Before(late):
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProbesLate,
			fmt.Sprintf("no round of probes was judged for %d periods", latePeriods))
	case s.stretched() >= latePeriods:
		s.lookAgain(late)
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProbesLate,
			fmt.Sprintf("rounds of probes begin more than %d times as far apart as probe.periodSeconds says: more is declared than the "+
				"calls of AWS allow (--aws-calls-per-second); raise the periods, or the rate where AWS grants it", s.stretched()))
	case s.fleet.judgeTime.IsZero():
		s.lookAgain(late)
		s.set(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonFirstRound, "the first round of probes is under way")
	default:
		s.lookAgain(late)
		message := fmt.Sprintf("probing every %d seconds", s.policy.Spec.Probe.PeriodSeconds)
		if targets := s.policy.Status.Targets; targets != nil {
			message = fmt.Sprintf("probing %d instances every %d seconds", *targets, s.policy.Spec.Probe.PeriodSeconds)
		}
		if times := s.stretched(); times > 1 {
			message += fmt.Sprintf("; the rounds begin more than %d times as far apart as that: nodes are waited for for longer, or the "+
				"calls of AWS do not suffice (--aws-calls-per-second)", times)
		}
		if s.watching() && s.now.Before(s.fleet.intervalsUntil) {
			message += fmt.Sprintf("; until %s without watching them, because Run Command sends a watch to the next nodes only when it has "+
				"ended on the first ones", s.fleet.intervalsUntil.UTC().Format(time.RFC3339))
			s.lookAgain(s.fleet.intervalsUntil)
		}
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonProbing, message)
	}
}

// stretched is how many times their period the rounds are apart at the least: 1, 2, latePeriods, and twice as much from there on, so
// that the status does not change all the time. A round that was late by itself is no sign of that.
func (s *scope) stretched() int {
	interval := min(s.fleet.intervals[0], s.fleet.intervals[1])
	period := time.Duration(s.policy.Spec.Probe.PeriodSeconds) * time.Second
	times := 1
	for _, next := range [...]int{2, latePeriods} {
		if interval > time.Duration(next)*period {
			times = next
		}
	}
	for times >= latePeriods && interval > time.Duration(2*times)*period {
		times *= 2
	}
	return times
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
	case s.paused != nil:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, s.paused.Reason, s.paused.Message+": nothing is probed")
	case unhealthy > 0:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionFalse, v1alpha1.ReasonSomeUnhealthy,
			fmt.Sprintf("the process is down on %d of %d instances", unhealthy, targets)+s.unlisted())
	case trouble != nil && targets == 0:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, trouble.reason, trouble.message)
	case (s.fleet.judgeTime.IsZero() || status.Targets == nil) && trouble == nil:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonFirstRound, "the first round of probes is under way")
	case targets == 0:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonNoTargets,
			"spec.targets matches no managed node in this account and region; check tags, region, and that the nodes are registered "+
				"with Systems Manager")
	case healthy < targets:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonSomeUnknown,
			fmt.Sprintf("%d of %d instances are Held or Unknown; status.summary says why", targets-healthy, targets)+s.unlisted())
	default:
		s.set(v1alpha1.ConditionHealthy, metav1.ConditionTrue, v1alpha1.ReasonAllHealthy,
			fmt.Sprintf("the process runs on all %d instances", targets))
	}
}

// unlisted says how many instances that are not Healthy status.instances has no room for.
func (s *scope) unlisted() string {
	status := &s.policy.Status
	more := int(ptr.Deref(status.Targets, 0)-ptr.Deref(status.Healthy, 0)) - len(status.Instances)
	if more <= 0 {
		return ""
	}
	return fmt.Sprintf("; status.instances does not list %d of those that are not Healthy", more)
}

func (s *scope) setRemediationAllowed(trouble *problem) {
	no := s.forbidden(trouble)
	if no == nil {
		s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionTrue, v1alpha1.ReasonAllowed,
			"an instance that goes down is recovered within the limits")
		return
	}
	s.lookAgain(no.Until)
	message := no.Message
	if !no.Until.IsZero() {
		message += fmt.Sprintf(" (until %s)", no.Until.UTC().Format(time.RFC3339))
	}
	s.set(v1alpha1.ConditionRemediationAllowed, metav1.ConditionFalse, no.Reason, process.Printable(message, maxMessage, ""))
}

// blind is what AWS had against the last round, when because of it nothing is known of any instance.
func (s *scope) blind() *problem {
	for _, state := range s.fleet.states {
		if state.Health != v1alpha1.HealthUnknown {
			return nil
		}
	}
	return s.fleet.problem
}

// forbidden is the first reason why an instance that goes down would not be recovered right now.
func (s *scope) forbidden(trouble *problem) *decide.Wait {
	no := s.paused
	if no == nil && trouble != nil {
		no = &decide.Wait{Reason: trouble.reason, Message: trouble.message}
	}
	no = cmp.Or(no, decide.Forbidden(s.now, s.policy, s.around))
	switch {
	case no != nil:
		return no
	case s.fleet.openProblem != nil:
		return &decide.Wait{Reason: v1alpha1.ReasonOpeningFailed, Message: s.fleet.openProblem.Error()}
	case s.policy.Spec.Mode == v1alpha1.ModeObserve:
		return &decide.Wait{Reason: v1alpha1.ReasonObserving,
			Message: "spec.mode is Observe: what would be done is recorded as Remediations with the result Observed"}
	}
	return nil
}

// setReconciling follows kstatus: the condition is there only while it is True.
func (s *scope) setReconciling(trouble *problem) {
	if s.paused != nil || trouble != nil || !s.fleet.judgeTime.IsZero() {
		meta.RemoveStatusCondition(&s.policy.Status.Conditions, v1alpha1.ConditionReconciling)
		return
	}
	s.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonFirstRound, "the first round of probes is under way")
}

// setStalled follows kstatus: the condition is there only while it is True.
func (s *scope) setStalled(trouble *problem) {
	if trouble == nil || !trouble.stalled || s.paused != nil {
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
