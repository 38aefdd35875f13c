// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// Reconciler reconciles RemediationPolicies.
//
// +kubebuilder:rbac:groups=ssm-remediator.io,resources=remediationpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=ssm-remediator.io,resources=remediationpolicies/status,verbs=patch
// +kubebuilder:rbac:groups=ssm-remediator.io,resources=remediations,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server, where a decision must not rest on a cache.
	Live    client.Reader
	Events  events.EventRecorder
	Clock   clock.PassiveClock
	Regions *runcommand.Regions
	// Prober begins the rounds. SetupWithManager sets it.
	Prober *Prober

	fleets fleets
}

// scope is what one pass knows. Each phase adds to it.
type scope struct {
	// policy is the object, with the status that is being made up; before is how it was read. open replaces both, when it
	// has written a claim. Set at the start.
	policy, before *v1alpha1.RemediationPolicy
	// now is the time of the pass. Set at the start.
	now time.Time
	// fleet is what is known in memory. Set at the start.
	fleet *fleet
	// region is where the instances are; nil when that is not known. Set by locate.
	region *runcommand.Region
	// problem is why nothing can be probed at all. Set by locate.
	problem *problem
	// attempts are the recorded ones, by instance, the oldest first. Set by recall, extended by open.
	attempts map[string][]decide.Attempt
	// changes are the instances whose health changed in this pass. Set by observe.
	changes []change
	// decisions are about the instances that are down. Set by decide, and again by open.
	decisions []decide.Decision
	// next is when to look again at the latest. Every phase may bring it forward.
	next time.Time
}

// lookAgain brings the next pass forward to at.
func (s *scope) lookAgain(at time.Time) {
	if !at.IsZero() && at.Before(s.next) {
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
	if !policy.DeletionTimestamp.IsZero() {
		r.forget(r.fleets.remove(req.NamespacedName))
		return ctrl.Result{}, nil
	}
	now := r.Clock.Now()
	current, replaced := r.fleets.of(policy, now)
	r.forget(replaced)
	s := &scope{policy: policy, before: policy.DeepCopy(), now: now, fleet: current, next: now.Add(farAhead)}

	phases := []func(context.Context, *scope) error{
		r.locate, r.recall, r.observe, r.decide, r.open, r.probe, r.prune, r.summarise,
	}
	for _, phase := range phases {
		if err := phase(ctx, s); err != nil {
			return r.outcome(err)
		}
	}
	return ctrl.Result{RequeueAfter: max(s.next.Sub(r.Clock.Now()), minRequeue)}, nil
}

// minRequeue keeps a pass that finds itself due from spinning.
const minRequeue = 100 * time.Millisecond

// outcome turns the error of a phase into what is to be done about it. A conflict only means that the cache is behind: the
// write that caused it will bring the policy back here.
func (r *Reconciler) outcome(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: minRequeue}, nil
	}
	return ctrl.Result{}, err
}

// forget ends the rounds of a fleet that is gone.
func (r *Reconciler) forget(gone *fleet) {
	if gone == nil {
		return
	}
	for _, round := range gone.rounds() {
		round.abandon(r.Regions.Get(round.location))
	}
}

// locate finds out which account and region the policy is about.
func (r *Reconciler) locate(ctx context.Context, s *scope) error {
	location, err := r.Regions.Locate(ctx, s.policy.Spec.Region)
	s.fleet.location = location
	if err != nil {
		s.problem = problemOf(err)
		if _, ok := errors.AsType[*runcommand.NoRegionError](err); ok {
			s.problem = &problem{v1alpha1.ReasonInvalidRequest, err.Error(), true}
		}
		s.lookAgain(s.now.Add(locateRetry))
		return nil
	}
	s.region = r.Regions.Get(location)
	return nil
}

// locateRetry is how long after AWS did not tell the account it is asked again.
const locateRetry = 30 * time.Second

// recall reads the recorded attempts, and takes over what those that ended tell about the health of their instances.
func (r *Reconciler) recall(ctx context.Context, s *scope) error {
	var list v1alpha1.RemediationList
	err := r.Client.List(ctx, &list, client.InNamespace(s.policy.Namespace),
		client.MatchingFields{IndexPolicy: s.policy.Name})
	if err != nil {
		return fmt.Errorf("listing Remediations: %w", err)
	}
	s.attempts = attemptsByInstance(s.now, list.Items, s.policy.Status.Opening)
	for id, attempts := range s.attempts {
		state, known := s.fleet.states[id]
		last := attempts[len(attempts)-1]
		if !known || last.Name == s.fleet.recalled[id] || last.EndTime.Before(state.Last.ProbeTime) {
			continue
		}
		if o, ok := observationOf(last); ok {
			s.fleet.recalled[id] = last.Name
			s.apply(finding{id, o})
		}
	}
	return nil
}

// decide decides for every instance that is down, from what is known so far.
func (r *Reconciler) decide(_ context.Context, s *scope) error {
	s.decisions = s.decideNow(s.attempts)
	return nil
}

func (s *scope) decideNow(attempts map[string][]decide.Attempt) []decide.Decision {
	instances := make([]decide.Instance, 0, len(s.fleet.states))
	for id, state := range s.fleet.states {
		instances = append(instances, decide.Instance{ID: id, State: state, Attempts: attempts[id]})
	}
	return decide.Fleet(s.now, &s.policy.Spec, len(s.fleet.states), instances)
}

// key names the policy.
func (s *scope) key() types.NamespacedName { return client.ObjectKeyFromObject(s.policy) }
