// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"slices"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// kubeWrites are the kinds of calls that write to the API server, without Events.
var kubeWrites = []string{
	kindClaim, kindCreate, kindIntent, kindRecord, kindTakeBack, kindTelling, kindEnd, kindLetGo, kindSummary, kindDelete,
}

// patches are those that carry a resource version, and can be refused as conflicts.
var patches = []string{kindClaim, kindIntent, kindRecord, kindTakeBack, kindTelling, kindEnd, kindLetGo, kindSummary}

// kubeCalls are all kinds of calls to the API server.
var kubeCalls = slices.Concat(kubeWrites, []string{kindEvent, kindLivePolicy, kindLiveList})

// sometimes treats the calls of some kinds, each with a probability.
func sometimes(p float64, kinds []string, treat func(*run) treatment) func(*run, call) treatment {
	return func(r *run, c call) treatment {
		if !slices.Contains(kinds, c.kind) || !r.chance(p) {
			return treatment{}
		}
		return treat(r)
	}
}

// always is the same treatment.
func always(t treatment) func(*run) treatment { return func(*run) treatment { return t } }

// kubeRows are about the API server: it refuses, loses, and is away.
func kubeRows() []*row {
	conflict := kubeError(http.StatusConflict, "Conflict", "the object has been modified")
	broken := kubeError(http.StatusInternalServerError, "InternalError", "etcdserver: request timed out")
	busy := kubeError(http.StatusTooManyRequests, "TooManyRequests", "too many requests")
	return []*row{
		{point: "API writes", fault: "conflict", bounded: true, script: sometimes(0.4, patches, always(treatment{answer: conflict}))},
		{point: "API writes", fault: "error 500, nothing done", script: sometimes(0.3, kubeWrites, always(treatment{answer: broken}))},
		{point: "API writes", fault: "error 500, carried out", bounded: true,
			script: sometimes(0.3, kubeWrites, always(treatment{answer: broken, carriedOut: true}))},
		{point: "API writes", fault: "connection lost, nothing done", script: sometimes(0.3, kubeWrites, always(treatment{lose: loseCall}))},
		{point: "API writes", fault: "connection lost, carried out",
			script: sometimes(0.3, kubeWrites, always(treatment{lose: loseAnswer}))},
		{point: "API calls", fault: "error 429", script: sometimes(0.05, kubeCalls, always(treatment{answer: busy}))},
		{point: "API calls", fault: "slow", script: sometimes(0.3, kubeCalls, func(r *run) treatment {
			return treatment{delay: r.clock.Real(time.Duration(r.rng.IntN(20)) * time.Second)}
		})},
		{point: "objects", fault: "edited by others all the time", meddle: edit},
		{point: "API server, etcd", fault: "frozen for a while", alone: true, meddle: outage(func(r *run) error {
			return r.control.signal(syscall.SIGSTOP)
		}, func(r *run) error { return r.control.signal(syscall.SIGCONT) })},
		{point: "API server, etcd", fault: "SIGKILL, gone for a while, data kept", alone: true, bounded: true, meddle: outage(
			func(r *run) error { return r.control.crash() }, func(r *run) error { return r.control.restart() })},
	}
}

// edit touches every object again and again, so that what a manager has read is old.
func edit(ctx context.Context, r *run) error {
	for ctx.Err() == nil {
		touch := client.RawPatch("application/merge-patch+json",
			[]byte(`{"metadata":{"annotations":{"example.org/touched":"`+time.Now().Format(time.RFC3339Nano)+`"}}}`))
		for _, name := range policies {
			policy := &v1alpha1.RemediationPolicy{}
			policy.Namespace, policy.Name = r.namespace, name
			if err := r.client.Patch(ctx, policy, touch); ctx.Err() == nil && err != nil {
				return err
			}
		}
		for _, rec := range r.history.all() {
			if rec.gone {
				continue
			}
			if err := r.client.Patch(ctx, rec.last.DeepCopy(), touch); ctx.Err() == nil && client.IgnoreNotFound(err) != nil {
				return err
			}
			r.hit()
		}
		r.sleep(ctx, time.Second)
	}
	return nil
}

// outage takes the control plane away now and then, for up to ten minutes.
func outage(begin, end func(*run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		for n := 0; n < 2 && ctx.Err() == nil; n++ {
			r.sleep(ctx, r.between(20*time.Second, 40*time.Second))
			if err := begin(r); err != nil {
				return err
			}
			r.hit()
			// It is brought back whatever becomes of the run.
			wait(ctx, r.clock.Real(r.between(time.Minute, 5*time.Minute)))
			if err := end(r); err != nil {
				return err
			}
			r.awaitReady(context.WithoutCancel(ctx))
		}
		return nil
	}
}
