// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/surroundings"
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
		For(&v1alpha1.RemediationPolicy{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{},
				// Labels choose the manager.
				predicate.LabelChangedPredicate{}))).
		WatchesMetadata(surroundings.Namespace(), handler.EnqueueRequestsFromMapFunc(r.policiesIn),
			builder.WithPredicates(predicate.AnnotationChangedPredicate{})).
		// The cache holds no other ConfigMap than the kill switch (cmd/manager).
		WatchesMetadata(surroundings.KillSwitch(), handler.EnqueueRequestsFromMapFunc(r.allPolicies)).
		Watches(&v1alpha1.Remediation{}, handler.EnqueueRequestsFromMapFunc(policyOf), builder.WithPredicates(resultChanged)).
		WatchesRawSource(source.TypedChannel(news, handler.TypedEnqueueRequestsFromMapFunc(
			func(_ context.Context, policy types.NamespacedName) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: policy}}
			}))).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentReconciles, NewQueue: r.newQueue}).
		Complete(r)
}

// newsBuffer is how many news may wait; the controller takes them out at once.
const newsBuffer = 1024

// resultChanged passes over what a Remediation writes down on its way to its result.
var resultChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.Remediation)
	after, is := e.ObjectNew.(*v1alpha1.Remediation)
	return !ok || !is || decide.ResultOf(before) != decide.ResultOf(after)
}}

func policyOf(_ context.Context, o client.Object) []reconcile.Request {
	remediation, ok := o.(*v1alpha1.Remediation)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: remediation.Namespace, Name: remediation.Spec.PolicyRef.Name,
	}}}
}

// newQueue makes the controller's queue, on our clock: a pass that was put off comes when that clock says so.
func (r *Reconciler) newQueue(
	name string, limiter workqueue.TypedRateLimiter[reconcile.Request],
) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
		Name: name, Clock: r.Clock,
	})
}

// policiesIn are the policies in a Namespace.
func (r *Reconciler) policiesIn(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.policies(ctx, client.InNamespace(namespace.GetName()))
}

func (r *Reconciler) allPolicies(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.policies(ctx)
}

func (r *Reconciler) policies(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var list v1alpha1.RemediationPolicyList
	if err := r.Client.List(ctx, &list, options...); err != nil {
		log.FromContext(ctx).Error(err, "Listing the policies that have to be told; each looks by itself at its next round")
		return nil
	}
	requests := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
	}
	return requests
}
