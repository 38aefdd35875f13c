// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"errors"
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
	"github.com/ssm-remediator/ssm-remediator/controllers/surroundings"
)

// Reconciler reconciles RemediationPolicies. config/rbac/role.yaml grants what it calls.
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
	// Spread has the rounds of different policies begin at different times of their periods.
	Spread bool
	// Prober begins the rounds. SetupWithManager sets it.
	Prober *Prober

	fleets fleets
}

// Lateness is how late each policy is with its probes; 0 for one that is on time.
func (r *Reconciler) Lateness() map[types.NamespacedName]time.Duration {
	return r.fleets.lateness(r.Clock.Now())
}

// scope is what one pass knows. Each phase adds to it.
type scope struct {
	// policy is the object, with the status that is being made up; before is how it was read. open replaces both, when it
	// has written a claim. Set at the start.
	policy, before *v1alpha1.RemediationPolicy
	// now is the time of the pass, in the precision of the API. Set at the start.
	now time.Time
	// fleet is what is known in memory. Set at the start.
	fleet *fleet
	// around are the kill switch and the annotations of the Namespace. Set by heed, and again by open.
	around decide.Surroundings
	// paused is why nothing is probed or recovered; nil when it is. Set by heed, and again by open.
	paused *decide.Wait
	// requests are what people ask for by annotations. Set by heed, and again by open.
	requests decide.Requests
	// region is where the instances are; nil when that is not known. Set by locate.
	region *runcommand.Region
	// problem is why nothing can be probed at all. Set by locate.
	problem *problem
	// recorded are the Remediations of all policies of this name. Set by recall, and again by open.
	recorded []v1alpha1.Remediation
	// attempts are what the limits see of them, by instance, the oldest first. Set by recall, and again by open.
	attempts map[string][]decide.Attempt
	// decisions are about the instances that are not Healthy. Set by Reconcile, and again by open.
	decisions []decide.Decision
	// next is when to look again at the latest. Every phase may bring it forward.
	next time.Time
}

// lookAgain brings the next pass forward to at.
func (s *scope) lookAgain(at time.Time) {
	if at.After(s.now) && at.Before(s.next) {
		s.next = at
	}
}

// farAhead is when a pass that nothing else asks for comes.
const farAhead = 5 * time.Minute

// Reconcile makes one pass over a policy. It never waits for AWS.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.RemediationPolicy{}
	if err := r.Client.Get(ctx, req.NamespacedName, policy); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(r.fleets.remove(req.NamespacedName))
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !policy.DeletionTimestamp.IsZero() || !r.Shard.Has(policy) {
		// One whose labels have changed is another manager's from now on.
		r.forget(r.fleets.remove(req.NamespacedName))
		return ctrl.Result{}, nil
	}
	now := r.Clock.Now().Truncate(time.Microsecond)
	current, replaced := r.fleets.of(policy, now)
	r.forget(replaced)
	s := &scope{policy: policy, before: policy.DeepCopy(), now: now, fleet: current, next: now.Add(farAhead)}
	if err := r.pass(ctx, s); err != nil {
		if !apierrors.IsConflict(err) {
			log.FromContext(ctx).Error(err, "The pass was not completed")
		}
		// Not the growing pauses of the queue, which would stretch probing: the next round is due all the same.
		s.lookAgain(r.Clock.Now().Add(errorRetry))
	}
	return ctrl.Result{RequeueAfter: max(s.next.Sub(r.Clock.Now()), minRequeue)}, nil
}

// pass goes through the phases. An error in what is written does not keep the others from their work: probing goes on and
// the status tells what is known.
func (r *Reconciler) pass(ctx context.Context, s *scope) error {
	if err := s.heed(ctx, r.Client, r.Namespace); err != nil {
		return err
	}
	r.resume(s)
	r.locate(s)
	if err := r.recall(ctx, s); err != nil {
		return err
	}
	r.observe(s)
	s.decisions = s.decideNow()
	opened := r.open(ctx, s)
	r.probe(s)
	return errors.Join(opened, r.prune(ctx, s), r.summarise(ctx, s))
}

// resume makes a new beginning when a pause has ended, as after a restart: what was seen before it must not be acted upon.
func (r *Reconciler) resume(s *scope) {
	if s.fleet.paused && s.paused == nil {
		renewed, replaced := r.fleets.renew(s.policy, s.now)
		r.forget(replaced)
		s.fleet = renewed
	}
	s.fleet.paused = s.paused != nil
}

// errorRetry is how long after an error the next pass comes. A conflict, the most frequent one, only means that the cache
// is behind.
const errorRetry = time.Second

// minRequeue keeps a pass that finds itself due from spinning.
const minRequeue = 100 * time.Millisecond

// forget ends the rounds of a fleet that is gone.
func (r *Reconciler) forget(gone *fleet) {
	if gone == nil {
		return
	}
	for _, round := range gone.rounds() {
		round.abandon(r.Regions.Get(round.location))
		if round.watch.Duration > 0 {
			// Where there is no room for it, the watch ends by itself.
			_ = r.Prober.Begin(round)
		}
	}
	gone.whole, gone.confirming, gone.watches = nil, nil, nil
}

// locate finds out which account and region the policy is about.
func (r *Reconciler) locate(s *scope) {
	location, err := r.Regions.Locate(s.policy.Spec.Region)
	if err == nil {
		s.fleet.location = location
		s.region = r.Regions.Get(location)
		return
	}
	s.lookAgain(s.now.Add(locateRetry))
	if _, locating := errors.AsType[*runcommand.LocatingError](err); locating {
		return
	}
	s.problem = problemOf(err)
	if _, none := errors.AsType[*runcommand.NoRegionError](err); none {
		s.problem = &problem{v1alpha1.ReasonInvalidRequest, err.Error(), true}
	}
}

// locateRetry is how long after the account was not known it is looked again whether it is.
const locateRetry = time.Second

// heed reads what bears upon the policy beside its spec: the kill switch, its Namespace, and what people ask for.
func (s *scope) heed(ctx context.Context, reader client.Reader, home string) (err error) {
	if s.around, err = surroundings.Read(ctx, reader, home, s.policy.Namespace); err != nil {
		return err
	}
	s.paused = decide.Paused(s.policy, s.around)
	s.requests = decide.ReadRequests(s.now, s.policy, s.around.Namespace, s.paused)
	// The attempts are read by it.
	s.policy.Status.ResetTime = s.requests.ResetTime
	return nil
}

// decideNow decides for every instance that is not Healthy, from what is known so far.
func (s *scope) decideNow() []decide.Decision {
	spec, status, instances := &s.policy.Spec, &s.policy.Status, s.instances()
	targets := len(s.fleet.states)
	switch {
	case s.paused != nil && status.Breaker != nil:
		// Rounds that are not made do not prove that the others are well.
		status.Breaker.BelowTime = nil
	case s.paused == nil && s.fleet.inventoried:
		status.Breaker = decide.Breaker(s.now, spec, targets, instances, status.Breaker)
	}
	status.Ineffective = decide.Ineffective(s.now, s.policy, instances)
	return decide.Fleet(s.now, spec, targets, instances, decide.Forbidden(s.now, s.policy, s.around))
}

// instances are what is known of each instance, of those too that are known only by their attempts: these still count.
func (s *scope) instances() []decide.Instance {
	instances := make([]decide.Instance, 0, len(s.fleet.states))
	pending := s.fleet.whole.pending(func(id string) bool { return s.fleet.states[id].Health == v1alpha1.HealthUnhealthy })
	yetToTell := s.yetToTell()
	for id, state := range s.fleet.states {
		instances = append(instances, decide.Instance{
			ID: id, State: state, Attempts: s.attempts[id], Pending: pending[id] || yetToTell[id],
		})
	}
	for id, attempts := range s.attempts {
		if _, member := s.fleet.states[id]; !member {
			instances = append(instances, decide.Instance{ID: id, Attempts: attempts})
		}
	}
	return instances
}

// key names the policy.
func (s *scope) key() types.NamespacedName { return client.ObjectKeyFromObject(s.policy) }
