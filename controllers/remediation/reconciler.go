// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/shard"
)

// Reconciler reconciles Remediations. config/rbac/role.yaml grants what it calls.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server, where a decision must not rest on a cache.
	Live    client.Reader
	Events  events.EventRecorder
	Clock   clock.WithTicker
	Regions *runcommand.Regions
	// Namespace is that of the manager, where the kill switch is looked for.
	Namespace string
	// Shard says which policies are acted on.
	Shard shard.Shard
	// Notify tells that a Remediation has news. It is called in the background. SetupWithManager sets it.
	Notify func(types.NamespacedName)
}

// scope is what one pass knows. Each phase adds to it.
type scope struct {
	// remediation is the object; before is how it was last read or written. Set at the start.
	remediation, before *v1alpha1.Remediation
	// now is the time of the pass. Set at the start, and by intend when it had to wait.
	now time.Time
	// region is where the instance is. Set at the start.
	region *runcommand.Region
	// intended is set by intend when this very pass has recorded the intent to send a command: only then may dispatch send it.
	intended v1alpha1.CommandPurpose
	// call is the call that intend has waited for, to send that command.
	call *runcommand.Reservation
	// outcome is the result, once it is known. Any phase may set it; the phases after it are passed over.
	outcome *outcome
	// next is when to look again.
	next time.Duration
}

const (
	// lookAgain is when an attempt in flight is looked at again if nothing is heard of it.
	lookAgain = 10 * time.Second
	// errorRetry is how long after an error the next pass comes.
	errorRetry = time.Second
	// throttledRetry is how long after AWS refused a send because of its rate the next one is tried, if the AWS budget allows it.
	throttledRetry = time.Second
	// maxWaiting is how many attempts wait for the AWS budget of a location, of those that are carried out at a time. More come
	// again later, so that other locations need not wait for one that throttles.
	maxWaiting = concurrentReconciles / 2
	// maxLooks is the same for looks after documents and reboots.
	maxLooks = concurrentReconciles / 4
)

// Reconcile makes one pass over a Remediation. It waits for AWS only to send.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx = runcommand.WithPriority(ctx, runcommand.PriorityRecovery)
	remediation := &v1alpha1.Remediation{}
	if err := r.Client.Get(ctx, req.NamespacedName, remediation); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &scope{
		remediation: remediation,
		before:      remediation.DeepCopy(),
		now:         r.Clock.Now(),
		region: r.Regions.Get(runcommand.Location{
			Account: remediation.Spec.Account, Region: remediation.Spec.Region,
		}),
		next: lookAgain,
	}
	if decide.ResultOf(remediation) != v1alpha1.ResultRunning {
		return r.retire(ctx, s)
	}
	switch others, err := r.leftToOthers(ctx, s); {
	case err != nil:
		return outcomeOfError(ctx, err)
	case others:
		return ctrl.Result{RequeueAfter: s.next}, nil
	}
	for _, phase := range []func(context.Context, *scope) error{r.observeOnly, r.follow, r.intend, r.dispatch, r.verify} {
		if s.outcome != nil {
			break
		}
		if err := phase(ctx, s); err != nil {
			return outcomeOfError(ctx, err)
		}
	}
	if s.outcome == nil {
		return ctrl.Result{RequeueAfter: s.next}, nil
	}
	if s.intended != "" {
		// That nothing was sent is known here only: it is recorded also by a manager that is being stopped.
		ctx = context.WithoutCancel(ctx)
	}
	if err := r.conclude(ctx, s); err != nil {
		return outcomeOfError(ctx, err)
	}
	return r.retire(ctx, s)
}

// outcomeOfError turns the error of a phase into what is to be done about it: another pass soon. The growing pauses of the queue
// would let the time of an attempt run out, or its place be held long after its end. A conflict only means that the cache is
// behind, and an object that is gone asks for nothing any more.
func outcomeOfError(ctx context.Context, err error) (ctrl.Result, error) {
	switch {
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case !apierrors.IsConflict(err):
		log.FromContext(ctx).Error(err, "The pass was not completed")
	}
	return ctrl.Result{RequeueAfter: errorRetry}, nil
}

// record writes the status, under the resource version of what was read.
func (r *Reconciler) record(ctx context.Context, s *scope) error {
	patch := client.MergeFromWithOptions(s.before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, s.remediation, patch); err != nil {
		return fmt.Errorf("recording status: %w", err)
	}
	s.before = s.remediation.DeepCopy()
	return nil
}
