// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// Fault is what goes wrong with a write.
type Fault int

const (
	// NoFault is a write that goes well.
	NoFault Fault = iota
	// Refused is an API server that is not there.
	Refused
	// Conflict is one that says that the object was changed meanwhile.
	Conflict
	// AnswerLost is a write that was carried out and whose answer does not arrive.
	AnswerLost
)

// heard is an API server whose writes are heard of, as by watches. The controllers learn of those that concern them.
type heard struct {
	client.Client
	stage  *Stage
	faulty bool
}

// write carries a write out, on a copy when its answer is lost.
func (h heard) write(verb string, o client.Object, do func(client.Object) error) error {
	fault := NoFault
	if h.faulty && h.stage.Fault != nil {
		fault = h.stage.Fault(verb, o)
	}
	h.stage.happened()
	switch fault {
	case Refused:
		return apierrors.NewServiceUnavailable("the API server is not there")
	case Conflict:
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("objects").GroupResource(), o.GetName(), nil)
	case AnswerLost:
		o = o.DeepCopyObject().(client.Object)
	case NoFault:
	}
	if err := do(o); err != nil {
		return err
	}
	h.stage.hear(o)
	if fault == AnswerLost {
		return apierrors.NewTimeoutError("the answer was lost", 1)
	}
	return nil
}

// Create implements client.Writer.
func (h heard) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return h.write("create", o, func(o client.Object) error { return h.Client.Create(ctx, o, options...) })
}

// Update implements client.Writer.
func (h heard) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return h.write("update", o, func(o client.Object) error { return h.Client.Update(ctx, o, options...) })
}

// Patch implements client.Writer.
func (h heard) Patch(ctx context.Context, o client.Object, patch client.Patch, options ...client.PatchOption) error {
	return h.write("patch", o, func(o client.Object) error { return h.Client.Patch(ctx, o, patch, options...) })
}

// Delete implements client.Writer.
func (h heard) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	return h.write("delete", o, func(o client.Object) error { return h.Client.Delete(ctx, o, options...) })
}

// Status implements client.StatusClient.
func (h heard) Status() client.SubResourceWriter { return heardStatus{h.Client.Status(), h} }

type heardStatus struct {
	client.SubResourceWriter
	heard heard
}

// Patch implements client.SubResourceWriter.
func (h heardStatus) Patch(ctx context.Context, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	return h.heard.write("patch status", o, func(o client.Object) error { return h.SubResourceWriter.Patch(ctx, o, patch, options...) })
}

// Update implements client.SubResourceWriter.
func (h heardStatus) Update(ctx context.Context, o client.Object, options ...client.SubResourceUpdateOption) error {
	return h.heard.write("update status", o, func(o client.Object) error { return h.SubResourceWriter.Update(ctx, o, options...) })
}

// seen is what watches compare an object with.
type seen struct {
	generation  int64
	annotations map[string]string
	result      v1alpha1.Result
}

// hear lets the controllers have another pass over what was written, as far as their watches would.
func (s *Stage) hear(o client.Object) {
	switch written := o.(type) {
	case *v1alpha1.RemediationPolicy:
		i, current := item{true, client.ObjectKeyFromObject(o)}, &v1alpha1.RemediationPolicy{}
		there := s.look(i, current)
		s.differs(i, there, seen{generation: current.Generation, annotations: maps.Clone(current.Annotations)})
	case *v1alpha1.Remediation:
		i, current := item{false, client.ObjectKeyFromObject(o)}, &v1alpha1.Remediation{}
		there := s.look(i, current)
		if s.differs(i, there, seen{generation: current.Generation, result: decide.ResultOf(current)}) {
			s.enqueue(item{true, client.ObjectKey{Namespace: o.GetNamespace(), Name: written.Spec.PolicyRef.Name}}, s.Clock.Now())
		}
	default:
		for i := range s.known {
			if i.policy {
				s.enqueue(i, s.Clock.Now())
			}
		}
	}
}

// look reads an object as it is now, and reports whether it is there.
func (s *Stage) look(i item, into client.Object) bool {
	err := s.direct.Get(s.ctx, i.NamespacedName, into)
	if client.IgnoreNotFound(err) != nil {
		s.must(err)
	}
	return err == nil
}

// differs keeps what is seen of an object, lets it be reconciled when its generation or its annotations are new or its result
// is no more, and reports whether any of these is new.
func (s *Stage) differs(i item, there bool, is seen) bool {
	before, known := s.known[i]
	if s.known[i] = is; !there {
		delete(s.known, i)
	}
	changed := there != known || before.generation != is.generation || !maps.Equal(before.annotations, is.annotations)
	ended, runs := before.result != v1alpha1.ResultRunning, is.result == v1alpha1.ResultRunning
	if changed || (ended && runs) {
		s.enqueue(i, s.Clock.Now())
	}
	return changed || before.result != is.result
}
