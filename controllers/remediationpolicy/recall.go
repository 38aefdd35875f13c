// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// recall reads the recorded attempts, and takes over what they tell about the health of their instances.
func (r *Reconciler) recall(ctx context.Context, s *scope) error {
	if err := s.read(ctx, r.Client, s.policy.Status.Opening); err != nil {
		return err
	}
	for id, newest := range s.fleet.newest {
		if !slices.ContainsFunc(s.attempts[id], func(a decide.Attempt) bool { return a.UID == newest.UID }) {
			s.forgotten(id, newest)
		}
	}
	for id, attempts := range s.attempts {
		if _, member := s.fleet.states[id]; member {
			s.remember(id, attempts[len(attempts)-1])
		}
	}
	return nil
}

// remember takes up the newest attempt of an instance, and at its end what it found.
func (s *scope) remember(id string, last decide.Attempt) {
	if last.UID != "" {
		s.fleet.newest[id] = last
	}
	if last.Running() || last.UID == s.fleet.recalled[id] {
		return
	}
	s.fleet.recalled[id] = last.UID
	if o, ok := s.observationOf(last); ok && !last.EndTime.Before(s.fleet.states[id].Last.ProbeTime) {
		s.apply(finding{id, o})
	}
}

// forgotten handles an attempt that is gone. Somebody may have deleted it: what was seen before its end must not be acted upon
// again, so that an instance that was down has to be found down anew. What was seen since still holds, because records go by
// themselves after their time.
func (s *scope) forgotten(id string, gone decide.Attempt) {
	delete(s.fleet.recalled, id)
	delete(s.fleet.newest, id)
	state := s.fleet.states[id]
	since := !gone.EndTime.IsZero() && state.Last.ProbeTime.After(gone.EndTime)
	if state.Health == v1alpha1.HealthUnhealthy && !since {
		s.fleet.states[id] = decide.Unprobed(s.now)
	}
}

// read lists the recorded attempts of all policies of this name.
func (s *scope) read(ctx context.Context, reader client.Reader, claims []v1alpha1.OpeningRemediation) error {
	var list v1alpha1.RemediationList
	err := reader.List(ctx, &list, client.InNamespace(s.policy.Namespace), client.MatchingFields{IndexPolicy: s.policy.Name},
		// There may be ten thousands of them, and they are only read.
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing Remediations: %w", err)
	}
	s.recorded = list.Items
	s.attempts = attemptsByInstance(s.now, s.policy, list.Items, claims)
	return nil
}
