// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// history is all that a run has ever seen of its Remediations, also of those that are gone, in the order of etcd.
type history struct {
	mu      sync.Mutex
	records map[types.UID]*record
	// running are those without a result, mostRunning is how many instances of a policy had one at most at a time.
	running     map[types.UID]bool
	mostRunning map[string]int
	// changed is what came of a Remediation that had a result already, which must not be.
	changed []string
}

// record is one Remediation as it was last seen.
type record struct {
	last v1alpha1.Remediation
	gone bool
}

// result is what came of it; Running without a result.
func (r *record) result() v1alpha1.Result { return decide.ResultOf(&r.last) }

// follow reads the Remediations of a namespace until ctx ends, also when the API server goes away in between.
func follow(ctx context.Context, cluster client.WithWatch, namespace string) *history {
	h := &history{records: map[types.UID]*record{}, running: map[types.UID]bool{}, mostRunning: map[string]int{}}
	go func() {
		for ctx.Err() == nil {
			// What goes wrong is tried again: an outage of the API server is one of the faults.
			_ = h.read(ctx, cluster, namespace)
			wait(ctx, lookInterval)
		}
	}()
	return h
}

// read lists and watches until the connection breaks.
func (h *history) read(ctx context.Context, cluster client.WithWatch, namespace string) error {
	list := &v1alpha1.RemediationList{}
	if err := cluster.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return err
	}
	there := map[types.UID]bool{}
	for i := range list.Items {
		there[list.Items[i].UID] = true
		h.see(&list.Items[i], false)
	}
	h.leave(there)
	watcher, err := cluster.Watch(ctx, &v1alpha1.RemediationList{}, client.InNamespace(namespace),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if remediation, ok := event.Object.(*v1alpha1.Remediation); ok {
			h.see(remediation, event.Type == watch.Deleted)
		}
	}
	return nil
}

// leave marks those as gone that are not there any more.
func (h *history) leave(there map[types.UID]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for uid, known := range h.records {
		if !there[uid] {
			known.gone = true
			delete(h.running, uid)
		}
	}
}

// see takes in what a Remediation has become.
func (h *history) see(remediation *v1alpha1.Remediation, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	uid := remediation.UID
	known := h.records[uid]
	if known == nil {
		known = &record{}
		h.records[uid] = known
	} else if was := known.result(); was != v1alpha1.ResultRunning && was != decide.ResultOf(remediation) {
		h.changed = append(h.changed, fmt.Sprintf("%s was %s and became %s", remediation.Name, was, decide.ResultOf(remediation)))
	}
	known.last, known.gone = *remediation, gone
	delete(h.running, uid)
	if !gone && known.result() == v1alpha1.ResultRunning {
		h.running[uid] = true
		policy := remediation.Spec.PolicyRef.Name
		h.mostRunning[policy] = max(h.mostRunning[policy], h.instancesUnderRecovery(policy))
	}
}

func (h *history) instancesUnderRecovery(policy string) int {
	instances := map[v1alpha1.InstanceID]bool{}
	for uid := range h.running {
		if spec := &h.records[uid].last.Spec; spec.PolicyRef.Name == policy {
			instances[spec.InstanceID] = true
		}
	}
	return len(instances)
}

// all are copies of the records, the oldest first.
func (h *history) all() []record {
	h.mu.Lock()
	defer h.mu.Unlock()
	records := make([]record, 0, len(h.records))
	for _, r := range h.records {
		records = append(records, *r)
	}
	slices.SortFunc(records, func(a, b record) int { return a.last.Spec.OpenTime.Compare(b.last.Spec.OpenTime.Time) })
	return records
}

// open are those that exist and have no result, or a finalizer still.
func (h *history) open() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var open []string
	for _, r := range h.records {
		if !r.gone && (r.result() == v1alpha1.ResultRunning || len(r.last.Finalizers) > 0) {
			open = append(open, r.last.Name)
		}
	}
	return open
}

// unseen are those of which the history knows less than the API server says.
func (h *history) unseen(there []v1alpha1.Remediation) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var unseen []string
	for i := range there {
		if known := h.records[there[i].UID]; known == nil || known.last.ResourceVersion != there[i].ResourceVersion {
			unseen = append(unseen, there[i].Name)
		}
	}
	return unseen
}

// mostAttempts is how many attempts that count an instance has had at most within any time of that length, and which.
func (h *history) mostAttempts(window time.Duration) (most int, instance string) {
	opened := map[string][]time.Time{}
	for _, r := range h.all() {
		if r.result().CountsAsAttempt() {
			key := r.last.Spec.PolicyRef.Name + " on " + string(r.last.Spec.InstanceID)
			opened[key] = append(opened[key], r.last.Spec.OpenTime.Time)
		}
	}
	for key, times := range opened {
		first := 0
		for i := range times {
			for times[i].Sub(times[first]) >= window {
				first++
			}
			if i-first+1 > most {
				most, instance = i-first+1, key
			}
		}
	}
	return most, instance
}

// reused are sequence numbers that were given again, other than those of attempts that have ended and that no limit looks at
// any more.
func (h *history) reused() []string {
	var reused []string
	last := map[string]record{}
	for _, r := range h.all() {
		key := r.last.Spec.PolicyRef.Name + " on " + string(r.last.Spec.InstanceID)
		before, known := last[key]
		last[key] = r
		if !known || r.last.Spec.Sequence > before.last.Spec.Sequence {
			continue
		}
		if ended := before.last.Status.CompletionTime; ended == nil || r.last.Spec.OpenTime.Sub(ended.Time) < stable {
			reused = append(reused, fmt.Sprintf("%s: %d of %s after %d of %s", key,
				r.last.Spec.Sequence, r.last.Name, before.last.Spec.Sequence, before.last.Name))
		}
	}
	return reused
}

// write tells of every attempt, for those who look for what went wrong.
func (h *history) write(w io.Writer) {
	for _, r := range h.all() {
		spec := &r.last.Spec
		complete := meta.FindStatusCondition(r.last.Status.Conditions, v1alpha1.ConditionComplete)
		_, _ = fmt.Fprintf(w, "%s %s %s seq=%d attempt=%d step=%d opened=%s notAfter=%s gone=%t uid=%s\n    commands=%+v\n    %+v\n",
			r.last.Name, spec.InstanceID, r.result(), spec.Sequence, spec.Attempt, spec.StepIndex, spec.OpenTime.Format(time.StampMilli),
			spec.NotAfter.Format(time.StampMilli), r.gone, r.last.UID, r.last.Status.Commands, complete)
	}
}
