// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// journal notes every write that the API server took, in order. Replicas see the API server through views that are made of
// it, as caches are of watches, but which lag behind only when they are told to. Nothing else may write.
type journal struct {
	mu      sync.Mutex
	entries []entry
	// dropped is how many entries before these every view has taken in.
	dropped int
	current map[objectKey]client.Object
	// writes counts what was written, and refused ones too, by verb and kind.
	writes map[string]int
	// told is called with each entry, and with what was there before; nil for nothing.
	told func(before client.Object, e entry)
}

// entry is an object after a write.
type entry struct {
	object client.Object
	gone   bool
}

// objectKey names an object among those of all kinds.
type objectKey struct {
	kind string
	client.ObjectKey
}

func keyOf(o client.Object) objectKey {
	return objectKey{kindOf(o), client.ObjectKeyFromObject(o)}
}

func kindOf(o client.Object) string {
	switch o := o.(type) {
	case *v1alpha1.Remediation:
		return "Remediation"
	case *v1alpha1.RemediationPolicy:
		return "RemediationPolicy"
	case *metav1.PartialObjectMetadata:
		return o.Kind
	default:
		return o.GetObjectKind().GroupVersionKind().Kind
	}
}

func newJournal() *journal {
	return &journal{
		current: map[objectKey]client.Object{}, writes: map[string]int{}, told: func(client.Object, entry) {},
	}
}

// note takes in an object as the API server returned it.
func (j *journal) note(o client.Object, gone bool) {
	e := entry{object: o.DeepCopyObject().(client.Object), gone: gone}
	j.mu.Lock()
	key := keyOf(o)
	before := j.current[key]
	j.entries = append(j.entries, e)
	if gone {
		delete(j.current, key)
	} else {
		j.current[key] = e.object
	}
	told := j.told
	j.mu.Unlock()
	told(before, e)
}

func (j *journal) count(verb string, o client.Object) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writes[verb+" "+kindOf(o)]++
}

func (j *journal) counts() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.writes)
}

// since are the entries from a position on, and the position behind them.
func (j *journal) since(position int) ([]entry, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries[position-j.dropped:]), j.dropped + len(j.entries)
}

// drop forgets the entries before a position.
func (j *journal) drop(position int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := position - j.dropped; n > 0 {
		j.entries, j.dropped = slices.Clone(j.entries[n:]), position
	}
}

// snapshot are all objects as they are now, and the position of that.
func (j *journal) snapshot() ([]client.Object, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Collect(maps.Values(j.current)), j.dropped + len(j.entries)
}

// policy is the policy of a name as it is now; nil without one.
func (j *journal) policy(key client.ObjectKey) *v1alpha1.RemediationPolicy {
	j.mu.Lock()
	defer j.mu.Unlock()
	policy, _ := j.current[objectKey{"RemediationPolicy", key}].(*v1alpha1.RemediationPolicy)
	return policy
}

// meta is the metadata of another object as it is now; nil without one.
func (j *journal) meta(kind string, key client.ObjectKey) *metav1.PartialObjectMetadata {
	j.mu.Lock()
	defer j.mu.Unlock()
	o, _ := j.current[objectKey{kind, key}].(*metav1.PartialObjectMetadata)
	return o
}

// apiFault is what goes wrong with one write.
type apiFault int

const (
	noAPIFault apiFault = iota
	// apiRefuses is an API server that is not there.
	apiRefuses
	// apiAnswerLost is a write that was carried out and whose answer does not arrive.
	apiAnswerLost
)

// writer writes to the API server and into the journal.
type writer struct {
	client.Client
	journal *journal
	// fault chooses what goes wrong.
	fault func(verb string, o client.Object) apiFault
}

func faultless(string, client.Object) apiFault { return noAPIFault }

// write carries a write out, on a copy when its answer is lost.
func (w writer) write(verb string, o client.Object, do func(client.Object) error) error {
	w.journal.count(verb, o)
	fault := w.fault(verb, o)
	switch fault {
	case apiRefuses:
		return apierrors.NewServiceUnavailable("the simulated API server is not there")
	case apiAnswerLost:
		o = o.DeepCopyObject().(client.Object)
	case noAPIFault:
	}
	if err := do(o); err != nil {
		return err
	}
	w.journal.note(o, !o.GetDeletionTimestamp().IsZero() && len(o.GetFinalizers()) == 0)
	if fault == apiAnswerLost {
		return apierrors.NewTimeoutError("the simulated answer was lost", 1)
	}
	return nil
}

func (w writer) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return w.write("create", o, func(o client.Object) error { return w.Client.Create(ctx, o, options...) })
}

func (w writer) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return w.write("update", o, func(o client.Object) error { return w.Client.Update(ctx, o, options...) })
}

func (w writer) Patch(ctx context.Context, o client.Object, patch client.Patch, options ...client.PatchOption) error {
	return w.write("patch", o, func(o client.Object) error { return w.Client.Patch(ctx, o, patch, options...) })
}

func (w writer) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	w.journal.count("delete", o)
	if w.fault("delete", o) == apiRefuses {
		return apierrors.NewServiceUnavailable("the simulated API server is not there")
	}
	if err := w.Client.Delete(ctx, o, options...); err != nil {
		return err
	}
	if len(o.GetFinalizers()) == 0 {
		w.journal.note(o, true)
		return nil
	}
	left := o.DeepCopyObject().(client.Object)
	err := w.Get(ctx, client.ObjectKeyFromObject(o), left)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	w.journal.note(left, err != nil)
	return nil
}

// Status writes the status.
func (w writer) Status() client.SubResourceWriter { return statusWriter{w.Client.Status(), w} }

type statusWriter struct {
	client.SubResourceWriter
	writer writer
}

func (s statusWriter) Patch(
	ctx context.Context, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption,
) error {
	return s.writer.write("patch status", o, func(o client.Object) error {
		return s.SubResourceWriter.Patch(ctx, o, patch, options...)
	})
}
