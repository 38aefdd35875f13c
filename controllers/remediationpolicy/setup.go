// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// concurrentReconciles is how many policies are reconciled at a time. A pass does not wait for AWS.
const concurrentReconciles = 4

// SetupWithManager lets the manager run the reconciler and its Prober until the context ends.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager) error {
	index := func(o client.Object) []string { return []string{o.(*v1alpha1.Remediation).Spec.PolicyRef.Name} }
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.Remediation{}, IndexPolicy, index); err != nil {
		return fmt.Errorf("indexing Remediations: %w", err)
	}
	news := make(chan event.TypedGenericEvent[types.NamespacedName], newsBuffer)
	r.Prober = NewProber(r.Regions, r.Clock, func(policy types.NamespacedName) {
		select {
		case news <- event.TypedGenericEvent[types.NamespacedName]{Object: policy}:
		case <-ctx.Done():
		}
	})
	if err := mgr.Add(r.Prober); err != nil {
		return fmt.Errorf("adding the prober: %w", err)
	}
	return builder.ControllerManagedBy(mgr).
		Named("remediationpolicy").
		For(&v1alpha1.RemediationPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Remediation{}, handler.EnqueueRequestsFromMapFunc(policyOf)).
		WatchesRawSource(source.TypedChannel(news, handler.TypedEnqueueRequestsFromMapFunc(
			func(_ context.Context, policy types.NamespacedName) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: policy}}
			}))).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentReconciles}).
		Complete(r)
}

// newsBuffer is how many news may wait; the controller takes them out at once.
const newsBuffer = 1024

func policyOf(_ context.Context, o client.Object) []reconcile.Request {
	remediation, ok := o.(*v1alpha1.Remediation)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: remediation.Namespace, Name: remediation.Spec.PolicyRef.Name,
	}}}
}
