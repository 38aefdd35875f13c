// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

const (
	// concurrentReconciles is how many attempts are sent at a time. A send waits for the answer of AWS.
	concurrentReconciles = 16
	// newsBuffer is how many news may wait; the controller takes them out at once.
	newsBuffer = 1024
)

// SetupWithManager lets the manager run the reconciler until the context ends.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager) error {
	news := make(chan event.TypedGenericEvent[types.NamespacedName], newsBuffer)
	r.Notify = func(remediation types.NamespacedName) {
		select {
		case news <- event.TypedGenericEvent[types.NamespacedName]{Object: remediation}:
		case <-ctx.Done():
		}
	}
	return builder.ControllerManagedBy(mgr).
		Named("remediation").
		// Its own status writes bring no pass: each pass says when the next one comes. A deletion changes the generation.
		For(&v1alpha1.Remediation{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, reopened))).
		WatchesRawSource(source.TypedChannel(news, handler.TypedEnqueueRequestsFromMapFunc(
			func(_ context.Context, remediation types.NamespacedName) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: remediation}}
			}))).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentReconciles, NewQueue: r.newQueue}).
		Complete(r)
}

// reopened lets through that a result is gone, as when somebody has restored or emptied the status: nobody would look at the
// attempt before its time to live is over.
var reopened = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.Remediation)
	after, is := e.ObjectNew.(*v1alpha1.Remediation)
	return ok && is && decide.ResultOf(before) != v1alpha1.ResultRunning && decide.ResultOf(after) == v1alpha1.ResultRunning
}}

// newQueue makes the controller's queue, on our clock: a pass that was put off comes when that clock says so.
func (r *Reconciler) newQueue(
	name string, limiter workqueue.TypedRateLimiter[reconcile.Request],
) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
		Name: name, Clock: r.Clock,
	})
}
