// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// retire lets go of a Remediation that has ended, and deletes it after its time to live.
func (r *Reconciler) retire(ctx context.Context, s *scope) (ctrl.Result, error) {
	s.letGo()
	if controllerutil.RemoveFinalizer(s.remediation, v1alpha1.FinalizerInFlight) {
		patch := client.MergeFromWithOptions(s.before, client.MergeFromWithOptimisticLock{})
		if err := r.Client.Patch(ctx, s.remediation, patch); err != nil {
			return outcomeOfError(ctx, fmt.Errorf("removing the finalizer: %w", err))
		}
	}
	ended := s.remediation.Status.CompletionTime
	if ended == nil || !s.remediation.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	end := ended.Add(time.Duration(s.remediation.Spec.TTLSecondsAfterFinished) * time.Second)
	if s.now.Before(end) {
		return ctrl.Result{RequeueAfter: end.Sub(s.now)}, nil
	}
	// Of exactly this object: a later attempt may bear its name.
	if err := r.Client.Delete(ctx, s.remediation, client.Preconditions{UID: &s.remediation.UID}); err != nil {
		return outcomeOfError(ctx, fmt.Errorf("deleting the Remediation: %w", err))
	}
	return ctrl.Result{}, nil
}

// letGo ends the reading of its commands.
func (s *scope) letGo() {
	for _, command := range s.remediation.Status.Commands {
		s.region.EndSearch(binding(s.remediation, command.Purpose))
		s.region.Forget(command.CommandID)
	}
}
