// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Update implements client.Writer.
func (s *Server) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	return s.replace(o, false)
}

// Patch implements client.Writer, for merge patches.
func (s *Server) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return s.patch(o, patch, false)
}

// Status implements client.StatusClient.
func (s *Server) Status() client.SubResourceWriter { return statusOf{server: s} }

// statusOf writes the status.
type statusOf struct {
	client.SubResourceWriter
	server *Server
}

// Update implements client.SubResourceWriter.
func (s statusOf) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	return s.server.replace(o, true)
}

// Patch implements client.SubResourceWriter.
func (s statusOf) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.server.patch(o, patch, true)
}

func (s *Server) replace(o client.Object, status bool) error {
	return s.change(o, status, func(map[string]any) (map[string]any, error) { return asJSON(o) })
}

func (s *Server) patch(o client.Object, patch client.Patch, status bool) error {
	if patch.Type() != types.MergePatchType {
		return fmt.Errorf("the server takes no patch of the type %s", patch.Type())
	}
	text, err := patch.Data(o)
	if err != nil {
		return err
	}
	var changes map[string]any
	if err := utiljson.Unmarshal(text, &changes); err != nil {
		return fmt.Errorf("reading the patch: %w", err)
	}
	return s.change(o, status, func(current map[string]any) (map[string]any, error) {
		merge(current, changes)
		return current, nil
	})
}

// merge applies a merge patch (RFC 7386): null removes.
func merge(target, changes map[string]any) {
	for name, change := range changes {
		nested, isObject := change.(map[string]any)
		inner, wasObject := target[name].(map[string]any)
		switch {
		case change == nil:
			delete(target, name)
		case isObject && wasObject:
			merge(inner, nested)
		case isObject:
			target[name] = map[string]any{}
			merge(target[name].(map[string]any), nested)
		default:
			target[name] = change
		}
	}
}

// change replaces an object by what becomes of it: its status, or all but that.
func (s *Server) change(o client.Object, status bool, become func(current map[string]any) (map[string]any, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.keyOf(o, client.ObjectKeyFromObject(o))
	if err != nil {
		return err
	}
	before, there := s.objects[key]
	if !there {
		return apierrors.NewNotFound(key.resource(), key.Name)
	}
	after, err := become(runtime.DeepCopyJSON(before))
	if err != nil {
		return err
	}
	if gate := s.kinds[key.kind]; gate != nil {
		fillIn(gate.schema, after)
	}
	old, meta := metaOf(before), metaOf(after)
	if version := meta["resourceVersion"]; version != nil && version != old["resourceVersion"] {
		return apierrors.NewConflict(key.resource(), key.Name, errors.New("it was changed meanwhile"))
	}
	if status {
		after = withStatus(before, after["status"])
	} else {
		keepStatus(before, after)
	}
	if equality.Semantic.DeepEqual(before, after) {
		return decode(before, o)
	}
	if meta := metaOf(after); meta["deletionTimestamp"] != nil && meta["finalizers"] == nil {
		delete(s.objects, key)
		return decode(after, o)
	}
	return s.keep(key, after, o)
}

// withStatus is an object with another status.
func withStatus(object map[string]any, status any) map[string]any {
	object = runtime.DeepCopyJSON(object)
	if object["status"] = status; status == nil {
		delete(object, "status")
	}
	return object
}

// keepStatus lets an object that was changed have what only the API server changes.
func keepStatus(before, after map[string]any) {
	old, meta := metaOf(before), metaOf(after)
	for _, name := range []string{"uid", "generation", "deletionTimestamp", "resourceVersion"} {
		meta[name] = old[name]
		if old[name] == nil {
			delete(meta, name)
		}
	}
	after["status"] = before["status"]
	if before["status"] == nil {
		delete(after, "status")
	}
	if generation, counted := old["generation"].(int64); counted && !equality.Semantic.DeepEqual(before["spec"], after["spec"]) {
		meta["generation"] = generation + 1
	}
}

// deletedAt is when all deleted objects were deleted.
const deletedAt = "2026-03-29T12:00:00Z"

// Delete implements client.Writer.
func (s *Server) Delete(_ context.Context, o client.Object, options ...client.DeleteOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.keyOf(o, client.ObjectKeyFromObject(o))
	if err != nil {
		return err
	}
	object, there := s.objects[key]
	if !there {
		return apierrors.NewNotFound(key.resource(), key.Name)
	}
	var wanted client.DeleteOptions
	wanted.ApplyOptions(options)
	meta := metaOf(object)
	if p := wanted.Preconditions; p != nil && p.UID != nil && string(*p.UID) != meta["uid"] {
		return apierrors.NewConflict(key.resource(), key.Name, errors.New("it is another one"))
	}
	switch {
	case meta["finalizers"] == nil:
		delete(s.objects, key)
	case meta["deletionTimestamp"] == nil:
		held := runtime.DeepCopyJSON(object)
		metaOf(held)["deletionTimestamp"] = deletedAt
		metaOf(held)["generation"] = meta["generation"].(int64) + 1
		return s.keep(key, held, o.DeepCopyObject().(client.Object))
	}
	return nil
}

// Scheme implements client.Client.
func (s *Server) Scheme() *runtime.Scheme { return s.scheme }

// inOrder are the keys of all objects, in an order that is always the same.
func (s *Server) inOrder() []objectKey {
	return slices.SortedFunc(maps.Keys(s.objects), func(a, b objectKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func metaOf(object map[string]any) map[string]any {
	meta, _ := object["metadata"].(map[string]any)
	return meta
}

// asJSON is an object as it is sent.
func asJSON(o client.Object) (map[string]any, error) {
	text, err := utiljson.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("writing an object: %w", err)
	}
	var object map[string]any
	if err := utiljson.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	if object["metadata"] == nil {
		object["metadata"] = map[string]any{}
	}
	return object, nil
}

// decode reads an object as a client does.
func decode(object map[string]any, into client.Object) error {
	text, err := utiljson.Marshal(object)
	if err != nil {
		return fmt.Errorf("writing an object: %w", err)
	}
	kind := into.GetObjectKind().GroupVersionKind()
	reflect.ValueOf(into).Elem().SetZero()
	if err := utiljson.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decoding an object: %w", err)
	}
	into.GetObjectKind().SetGroupVersionKind(kind)
	return nil
}
