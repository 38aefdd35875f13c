// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// maxEvents bounds the events of one pass: the counts in status tell the rest.
const maxEvents = 20

// emitEvents tells of what has changed since the last time, after it was written.
func (r *Reconciler) emitEvents(s *scope) {
	r.tellHealth(s)
	r.tellConditions(s)
	r.tellRefusals(s)
}

// tellHealth tells of instances whose health has changed.
func (r *Reconciler) tellHealth(s *scope) {
	told := 0
	changes := s.fleet.changes
	s.fleet.changes = nil
	for _, c := range changes {
		// That a fleet was found healthy when it was first looked at is no news.
		if c.before.Health == v1alpha1.HealthUnknown && c.after.Health == v1alpha1.HealthHealthy || told == maxEvents {
			continue
		}
		kind := corev1.EventTypeWarning
		if c.after.Health == v1alpha1.HealthHealthy {
			kind = corev1.EventTypeNormal
		}
		told++
		r.Events.Eventf(s.policy, nil, kind, "Instance"+string(c.after.Health), "Probe", "%s was %s and is %s (%s): %s",
			c.instanceID, c.before.Health, c.after.Health, c.after.Reason, process.Printable(c.after.Message, maxMessage, ""))
	}
}

// tellConditions tells when the policy begins or ceases to be Ready, and to allow recovery, or for another reason.
func (r *Reconciler) tellConditions(s *scope) {
	for _, is := range s.policy.Status.Conditions {
		was := meta.FindStatusCondition(s.before.Status.Conditions, is.Type)
		told := is.Type == v1alpha1.ConditionReady || is.Type == v1alpha1.ConditionRemediationAllowed
		if !told || was == nil || (was.Status == is.Status && was.Reason == is.Reason) {
			continue
		}
		kind := corev1.EventTypeNormal
		if is.Status == metav1.ConditionFalse {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(s.policy, nil, kind, is.Reason, is.Type, "%s is %s: %s", is.Type, is.Status, is.Message)
	}
}

// tellRefusals tells of requests that were refused.
func (r *Reconciler) tellRefusals(s *scope) {
	for _, request := range s.policy.Status.Requests {
		known := slices.ContainsFunc(s.before.Status.Requests, func(before v1alpha1.RequestStatus) bool {
			return before.Annotation == request.Annotation && before.Value == request.Value
		})
		if request.State == v1alpha1.RequestRefused && !known {
			r.Events.Eventf(s.policy, nil, corev1.EventTypeWarning, "RequestRefused", "Request", "%s %s was refused: %s",
				request.Annotation, request.Value, request.Message)
		}
	}
}
