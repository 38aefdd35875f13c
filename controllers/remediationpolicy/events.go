// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// maxEvents bounds the events of one pass: the counts in status tell the rest.
const maxEvents = 20

// emitEvents tells of the changes since the last time, after they were written.
func (r *Reconciler) emitEvents(s *scope) {
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
