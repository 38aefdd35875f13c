// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// view is the API server as the cache of one replica has it, up to a position in the journal. Its writes go to the API
// server.
type view struct {
	writer

	mu       sync.RWMutex
	position int
	objects  map[objectKey]client.Object
	// attempts are the Remediations by policy, ordered by instance and sequence.
	attempts map[client.ObjectKey][]*v1alpha1.Remediation
}

func newView(w writer) *view {
	return &view{writer: w, objects: map[objectKey]client.Object{}, attempts: map[client.ObjectKey][]*v1alpha1.Remediation{}}
}

// news is an object that a view has taken in; before is nil for one that it did not have, and gone one that it has no more.
type news struct {
	before, object client.Object
	gone           bool
}

// start takes in everything, as a cache does that begins to watch.
func (v *view) start() []news {
	objects, position := v.journal.snapshot()
	v.position = position
	told := make([]news, 0, len(objects))
	for _, o := range objects {
		told = append(told, v.apply(entry{object: o}))
	}
	return told
}

// catchUp takes in what has been written since.
func (v *view) catchUp() []news {
	entries, position := v.journal.since(v.position)
	v.position = position
	told := make([]news, 0, len(entries))
	for _, e := range entries {
		told = append(told, v.apply(e))
	}
	return told
}

func (v *view) apply(e entry) news {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := keyOf(e.object)
	n := news{before: v.objects[key], object: e.object, gone: e.gone}
	if e.gone {
		delete(v.objects, key)
	} else {
		v.objects[key] = e.object
	}
	if r, ok := e.object.(*v1alpha1.Remediation); ok {
		v.applyAttempt(r, e.gone)
	}
	return n
}

func (v *view) applyAttempt(r *v1alpha1.Remediation, gone bool) {
	policy := client.ObjectKey{Namespace: r.Namespace, Name: r.Spec.PolicyRef.Name}
	list := v.attempts[policy]
	at, there := slices.BinarySearchFunc(list, r, byInstance)
	switch {
	case gone && there:
		list = slices.Delete(list, at, at+1)
	case gone:
	case there:
		list[at] = r
	default:
		list = slices.Insert(list, at, r)
	}
	v.attempts[policy] = list
}

// byInstance orders attempts in a way that does not depend on names: these are other ones in each run.
func byInstance(a, b *v1alpha1.Remediation) int {
	return cmp.Or(cmp.Compare(a.Spec.PolicyRef.Name, b.Spec.PolicyRef.Name), cmp.Compare(a.Spec.InstanceID, b.Spec.InstanceID),
		cmp.Compare(a.Spec.Sequence, b.Spec.Sequence))
}

// Get reads from the view.
func (v *view) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	kind := kindOf(into)
	o, there := v.objects[objectKey{kind, key}]
	if !there {
		return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, key.String())
	}
	switch o := o.(type) {
	case *v1alpha1.Remediation:
		o.DeepCopyInto(into.(*v1alpha1.Remediation))
	case *v1alpha1.RemediationPolicy:
		o.DeepCopyInto(into.(*v1alpha1.RemediationPolicy))
	case *metav1.PartialObjectMetadata:
		o.DeepCopyInto(into.(*metav1.PartialObjectMetadata))
	default:
		return fmt.Errorf("the view has no %T", o)
	}
	return nil
}

// List reads the Remediations of a policy from the view, without copies of what they hold.
func (v *view) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	list, ok := into.(*v1alpha1.RemediationList)
	if !ok {
		return fmt.Errorf("the view lists no %T", into)
	}
	var o client.ListOptions
	o.ApplyOptions(options)
	policy, ok := o.FieldSelector.RequiresExactMatch(IndexPolicy)
	if !ok {
		return fmt.Errorf("the view lists Remediations by policy only, not by %s", o.FieldSelector)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	attempts := v.attempts[client.ObjectKey{Namespace: o.Namespace, Name: policy}]
	list.Items = make([]v1alpha1.Remediation, len(attempts))
	for i, r := range attempts {
		list.Items[i] = *r
	}
	return nil
}

// remediation is one that the view has; nil without it.
func (v *view) remediation(key client.ObjectKey) *v1alpha1.Remediation {
	v.mu.RLock()
	defer v.mu.RUnlock()
	r, _ := v.objects[objectKey{"Remediation", key}].(*v1alpha1.Remediation)
	return r
}
