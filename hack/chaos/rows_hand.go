// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// handRows are about what people do, and backups.
func handRows() []*row {
	return []*row{
		{point: "Remediations in flight", fault: "deleted by hand", forgets: true, bounded: true, meddle: toRunning((*run).delete)},
		{point: "Remediations in flight", fault: "deleted, finalizer removed", forgets: true, meddle: toRunning((*run).remove)},
		{point: "Remediations in flight", fault: "restored without status", forgets: true, bounded: true,
			meddle: toRunning((*run).restore)},
		{point: "Remediations in flight", fault: "status wiped", forgets: true, meddle: toRunning((*run).wipe)},
		{point: "policies", fault: "deleted and created again", meddle: toPolicies((*run).recreate)},
		{point: "policies", fault: "spec changed", bounded: true, meddle: toPolicies((*run).change)},
		{point: "policies", fault: "suspended for a while", meddle: toPolicies((*run).suspend)},
		{point: "policies", fault: "suspended while their cache is stale", bounded: true, meddle: toPolicies((*run).suspendUnseen)},
		{point: "policies", fault: "silenced for a while", meddle: toPolicies((*run).silence)},
		{point: "kill switch", fault: "on for a while", bounded: true, meddle: killSwitch},
		{point: "everything", fault: "restored without status", forgets: true, meddle: toPolicies((*run).restoreAll)},
	}
}

// toRunning does something to Remediations that are in flight, in whatever phase they are.
func toRunning(do func(*run, context.Context, *v1alpha1.Remediation) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		for ctx.Err() == nil {
			for _, rec := range r.history.all() {
				if rec.gone || rec.result() != v1alpha1.ResultRunning || !rec.last.DeletionTimestamp.IsZero() || r.heads(0.7) {
					continue
				}
				if err := do(r, ctx, rec.last.DeepCopy()); client.IgnoreNotFound(err) != nil && ctx.Err() == nil {
					return err
				}
				r.hit()
			}
			r.sleep(ctx, r.between(time.Second, 5*time.Second))
		}
		return nil
	}
}

// toPolicies does something to the policies now and then.
func toPolicies(do func(*run, context.Context, client.ObjectKey) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		for ctx.Err() == nil {
			r.sleep(ctx, r.between(10*time.Second, 40*time.Second))
			for _, name := range policies {
				// What is begun is brought to its end.
				if err := do(r, context.WithoutCancel(ctx), r.key(name)); err != nil {
					return err
				}
				r.hit()
			}
		}
		return nil
	}
}

func (r *run) delete(ctx context.Context, remediation *v1alpha1.Remediation) error {
	return r.client.Delete(ctx, remediation)
}

// remove deletes a Remediation for good, finalizer or not.
func (r *run) remove(ctx context.Context, remediation *v1alpha1.Remediation) error {
	return r.cluster.RemoveRemediation(ctx, remediation)
}

// restore deletes a Remediation and brings it back as a backup does that knows no status, after a time in which its command
// may have run. Only the manager may create Remediations, so the backup acts as the manager.
func (r *run) restore(ctx context.Context, remediation *v1alpha1.Remediation) error {
	ctx = context.WithoutCancel(ctx)
	if err := r.remove(ctx, remediation.DeepCopy()); err != nil {
		return err
	}
	r.sleep(ctx, r.between(0, 30*time.Second))
	return r.bringBack(ctx, remediation)
}

func (r *run) bringBack(ctx context.Context, remediation *v1alpha1.Remediation) error {
	again := &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: remediation.Namespace, Name: remediation.Name, Labels: remediation.Labels, Finalizers: remediation.Finalizers,
		},
		Spec: remediation.Spec,
	}
	return client.IgnoreAlreadyExists(r.asManager.Create(ctx, again))
}

// wipe empties the status of a Remediation.
func (r *run) wipe(ctx context.Context, remediation *v1alpha1.Remediation) error {
	return r.asManager.Status().Patch(ctx, remediation, client.RawPatch("application/merge-patch+json", []byte(
		`{"status":{"commands":null,"conditions":null,"startTime":null}}`)))
}

// recreate deletes a policy and creates it again after a while.
func (r *run) recreate(ctx context.Context, key client.ObjectKey) error {
	if err := r.client.Delete(ctx, r.policy(key.Name)); err != nil {
		return fmt.Errorf("deleting a policy: %w", err)
	}
	r.sleep(ctx, r.between(0, 30*time.Second))
	return r.client.Create(ctx, r.policy(key.Name))
}

// change changes the spec of a policy, in a way that makes no difference to its nodes.
func (r *run) change(ctx context.Context, key client.ObjectKey) error {
	limit := 5 + r.between(0, 5)
	return r.client.Patch(ctx, r.policy(key.Name), client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"spec":{"history":{"limit":%d}}}`, limit)))
}

// suspend suspends a policy for a while.
func (r *run) suspend(ctx context.Context, key client.ObjectKey) error {
	return r.forbidding(ctx, key.Name, "the policy was suspended", func(on bool) error {
		return r.client.Patch(ctx, r.policy(key.Name), client.RawPatch("application/merge-patch+json",
			fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, on)))
	})
}

// suspendUnseen suspends a policy for a while, which the manager sees only when that is almost over.
func (r *run) suspendUnseen(ctx context.Context, key client.ObjectKey) error {
	gate := r.replicas[0].gates.of(kindPolWatch)
	gate.hold()
	defer gate.release()
	return r.suspend(ctx, key)
}

// silence silences a policy for a while.
func (r *run) silence(ctx context.Context, key client.ObjectKey) error {
	return r.forbidding(ctx, key.Name, "the policy was silenced", func(on bool) error {
		until := "null"
		if on {
			until = strconv.Quote(r.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
		return r.client.Patch(ctx, r.policy(key.Name), client.RawPatch("application/merge-patch+json",
			fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, v1alpha1.AnnotationSilencedUntil, until)))
	})
}

// killSwitch turns the kill switch on for a while.
func killSwitch(ctx context.Context, r *run) error {
	for ctx.Err() == nil {
		r.sleep(ctx, r.between(10*time.Second, 30*time.Second))
		err := r.forbidding(context.WithoutCancel(ctx), "", "the kill switch was on", func(on bool) error {
			stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: v1alpha1.KillSwitch}}
			if on {
				return r.client.Create(ctx, stop)
			}
			return r.client.Delete(context.WithoutCancel(ctx), stop)
		})
		if err != nil {
			return err
		}
		r.hit()
	}
	return nil
}

// restoreAll is a policy and its Remediations as after the loss of a cluster: all new, without status.
func (r *run) restoreAll(ctx context.Context, key client.ObjectKey) error {
	errs := []error{r.client.Delete(ctx, r.policy(key.Name))}
	var lost []*v1alpha1.Remediation
	for _, rec := range r.history.all() {
		if !rec.gone && rec.last.Spec.PolicyRef.Name == key.Name {
			lost = append(lost, rec.last.DeepCopy())
			errs = append(errs, r.remove(ctx, rec.last.DeepCopy()))
		}
	}
	r.sleep(ctx, r.between(5*time.Second, 30*time.Second))
	for _, remediation := range lost {
		errs = append(errs, r.bringBack(ctx, remediation))
	}
	return errors.Join(append(errs, r.client.Create(ctx, r.policy(key.Name)))...)
}

// heads is true with a probability.
func (r *run) heads(p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chance(p)
}
