// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// sendWindow is how long after its opening an attempt may be sent and acted upon.
	sendWindow = 2 * time.Minute
	// maxOpening bounds the claims in status, and with them the attempts that one pass opens.
	maxOpening = 100
	// The defaults of a step are filled in here and not in the schema: a default inside a list item would make Argo CD see a
	// difference forever.
	defaultStepTimeout, defaultVerify, defaultVerifyOfReboot = 60, 30, 600
)

// open opens the attempts that were decided on.
//
// The decision so far rests on a cache. It is taken again on what the API server says now, and before any Remediation is
// created the names of those to come are written into the policy's status under its resource version: of two replicas that
// got this far, one fails there, and whoever comes next sees the claims and counts them. A claim whose Remediation never
// appears is void when its notAfter has passed.
func (r *Reconciler) open(ctx context.Context, s *scope) error {
	if !s.anyDown() || s.exists(s.fleet.refused) {
		s.fleet.openProblem = nil
	}
	if s.region == nil || !slices.ContainsFunc(s.decisions, func(d decide.Decision) bool { return d.Act != nil }) {
		return nil
	}
	if current, err := r.decideLive(ctx, s); err != nil || !current {
		return err
	}
	remediations := s.remediations(maxOpening - len(s.policy.Status.Opening))
	if len(remediations) == 0 {
		return nil
	}
	if err := r.claim(ctx, s, remediations); err != nil {
		return err
	}
	for _, remediation := range remediations {
		if s.fleet.openProblem = r.create(ctx, remediation); s.fleet.openProblem != nil {
			s.fleet.refused = remediation.Name
			break
		}
		id := string(remediation.Spec.InstanceID)
		s.attempts[id] = append(s.attempts[id], decide.AttemptOf(remediation, s.policy))
	}
	s.decisions = s.decideNow()
	return s.fleet.openProblem
}

// create creates a Remediation. One that is there already, opened by somebody who knew of it earlier, is read instead.
func (r *Reconciler) create(ctx context.Context, remediation *v1alpha1.Remediation) error {
	err := r.Client.Create(ctx, remediation)
	if apierrors.IsAlreadyExists(err) {
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(remediation), remediation)
	}
	if err != nil {
		return fmt.Errorf("creating Remediation: %w", err)
	}
	return nil
}

// anyDown reports whether any instance is Unhealthy.
func (s *scope) anyDown() bool {
	for _, state := range s.fleet.states {
		if state.Health == v1alpha1.HealthUnhealthy {
			return true
		}
	}
	return false
}

// decideLive decides again on what the API server says, and reports whether the policy is still the one that this pass is
// about and ours: when it is gone or was changed, the cache will bring that, and with it a pass of its own.
func (r *Reconciler) decideLive(ctx context.Context, s *scope) (current bool, err error) {
	live := &v1alpha1.RemediationPolicy{}
	// One that is gone stays empty, and differs by its uid.
	if err := r.Live.Get(ctx, s.key(), live); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the policy: %w", err)
	}
	changed := live.UID != s.policy.UID || live.Generation != s.policy.Generation
	if changed || !live.DeletionTimestamp.IsZero() || !r.Shard.Has(live) {
		s.decisions = nil
		return false, nil
	}
	s.policy, s.before = live, live.DeepCopy()
	if err := s.heed(ctx, r.Live, r.Namespace); err != nil {
		return false, err
	}
	// What was recalled from the cache will do, where that is known not to lack any attempt: a live list of all attempts on a
	// large fleet is a hundred megabytes.
	s.attempts = attemptsByInstance(s.now, s.policy, s.recorded, live.Status.Opening)
	// A claim that is void by now may have become a Remediation that the cache lacks.
	s.settleClaims()
	if !s.upToDate() {
		if err := s.read(ctx, r.Live, live.Status.Opening); err != nil {
			return false, err
		}
		s.settleOpened()
	}
	s.decisions = s.decideNow()
	return true, nil
}

// upToDate reports whether the recalled attempts are all that there are, beside the claims in the policy, which was just
// read live. A claim that goes from status.opening goes to status.opened: by the uid of its Remediation when that was seen, and
// else by its name, which no cache knows by uid. The cache takes in Remediations in the order of their creation: when it has
// those that were seen last, it has all that were seen before. One of them that was deleted since proves nothing.
func (s *scope) upToDate() bool {
	uids, opened := s.recordedUIDs(), s.policy.Status.Opened
	return len(opened) > 0 && !slices.ContainsFunc(opened, func(id string) bool { return !uids[id] })
}

// settleOpened goes by a live list: what that lacks is not there, and will not be sent should it still be created, because its claim
// is void. What was known by its name alone has a uid there.
func (s *scope) settleOpened() {
	uids := make(map[string]string, 2*len(s.recorded))
	for i := range s.recorded {
		uid := string(s.recorded[i].UID)
		uids[uid], uids[s.recorded[i].Name] = uid, uid
	}
	var opened []string
	for _, id := range s.policy.Status.Opened {
		if uid := uids[id]; uid != "" && !slices.Contains(opened, uid) {
			opened = append(opened, uid)
		}
	}
	s.policy.Status.Opened = opened
}

func (s *scope) recordedUIDs() map[string]bool {
	uids := make(map[string]bool, len(s.recorded))
	for i := range s.recorded {
		uids[string(s.recorded[i].UID)] = true
	}
	return uids
}

// remediations are the objects for the decisions to act, at most so many.
func (s *scope) remediations(most int) []*v1alpha1.Remediation {
	var remediations []*v1alpha1.Remediation
	for _, decision := range s.decisions {
		if decision.Act != nil && len(remediations) < most {
			remediations = append(remediations, s.remediation(decision))
		}
	}
	return remediations
}

// exists reports whether there is a Remediation of that name.
func (s *scope) exists(name string) bool {
	return slices.ContainsFunc(s.recorded, func(r v1alpha1.Remediation) bool { return r.Name == name })
}

// claim records which Remediations are about to be created, beside the claims that are still open.
func (r *Reconciler) claim(ctx context.Context, s *scope, remediations []*v1alpha1.Remediation) error {
	claims := s.policy.Status.Opening
	for _, remediation := range remediations {
		claims = append(claims, v1alpha1.OpeningRemediation{
			Name: remediation.Name, InstanceID: remediation.Spec.InstanceID,
			Sequence: remediation.Spec.Sequence, NotAfter: remediation.Spec.NotAfter,
		})
	}
	s.policy.Status.Opening = claims
	patch := client.MergeFromWithOptions(s.before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, s.policy, patch); err != nil {
		return fmt.Errorf("claiming Remediations: %w", err)
	}
	s.before = s.policy.DeepCopy()
	return nil
}

// remediation is the object for a decision to act.
func (s *scope) remediation(decision decide.Decision) *v1alpha1.Remediation {
	id, act, state := decision.InstanceID, decision.Act, s.fleet.states[decision.InstanceID]
	spec := s.policy.Spec
	return &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:  s.policy.Namespace,
			Name:       remediationName(s.policy.Namespace, s.policy.Name, s.fleet.location, id, act.Sequence),
			Labels:     map[string]string{v1alpha1.LabelPolicy: s.policy.Name, v1alpha1.LabelInstance: id},
			Finalizers: []string{v1alpha1.FinalizerInFlight},
		},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{
				Name: s.policy.Name, UID: s.policy.UID, Generation: s.policy.Generation,
			},
			Account:             s.fleet.location.Account,
			Region:              s.fleet.location.Region,
			InstanceID:          v1alpha1.InstanceID(id),
			Sequence:            act.Sequence,
			Attempt:             act.Number,
			Process:             spec.Process,
			CheckTimeoutSeconds: spec.Probe.TimeoutSeconds,
			StartupGraceSeconds: ptr.Deref(spec.Probe.StartupGraceSeconds, 0),
			StepIndex:           act.Step,
			Step:                filledIn(spec.Recovery.Steps[act.Step]),
			Mode:                spec.Mode,
			Evidence:            spec.Recovery.Evidence,
			Output:              spec.Output,
			OpenTime:            metav1.NewMicroTime(s.now),
			Detection: v1alpha1.Detection{
				Source:             state.Source,
				Reason:             state.Last.Reason,
				Message:            process.Printable(state.Last.Message, maxMessage, ""),
				FirstFailureTime:   metav1.NewMicroTime(state.FirstFailure),
				Time:               metav1.NewMicroTime(state.Last.ReadTime),
				CommandID:          state.Last.CommandID,
				ClockOffsetSeconds: int64(state.Last.ClockOffset.Round(time.Second) / time.Second),
			},
			NotAfter:                metav1.NewMicroTime(s.now.Add(sendWindow)),
			TTLSecondsAfterFinished: max(spec.History.TTLSeconds, decide.LeastTTL(&spec)),
		},
	}
}

// filledIn is a step with its defaults.
func filledIn(declared v1alpha1.RecoveryStep) v1alpha1.RecoveryStep {
	step := *declared.DeepCopy()
	if step.Reboot != nil {
		step.VerifySeconds = new(ptr.Deref(step.VerifySeconds, defaultVerifyOfReboot))
		return step
	}
	step.TimeoutSeconds = new(ptr.Deref(step.TimeoutSeconds, defaultStepTimeout))
	step.VerifySeconds = new(ptr.Deref(step.VerifySeconds, defaultVerify))
	return step
}

// remediationName follows from what makes the attempt unique, so that the same attempt cannot be opened twice. The policy's
// name leads, cut so that the whole stays within 63 characters; the hash is over the whole of it.
func remediationName(namespace, policy string, at runcommand.Location, instanceID string, sequence int64) string {
	const hashLength = 10
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s/%s/%d", namespace, policy, at.Account, at.Region, instanceID, sequence))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:hashLength]
	lead := policy
	if most := 63 - hashLength - 1; len(lead) > most {
		lead = strings.TrimRight(lead[:most], "-.")
	}
	return lead + "-" + hash
}
