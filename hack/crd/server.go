// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Server is a client of an API server that does not exist. It keeps objects as etcd does, as JSON, and does with our kinds what
// an API server does: uids, generations, resource versions, defaults, the status apart from the rest, finalizers, and everything
// in their schemas but CEL. Other kinds are just kept. What a controller has no use for it has not, and panics when that is
// asked for.
type Server struct {
	client.Client
	scheme *runtime.Scheme

	mu      sync.Mutex
	kinds   map[string]*gate
	objects map[objectKey]map[string]any
	version int64
	refused []error
}

type objectKey struct {
	kind string
	client.ObjectKey
}

// kinds are those that have a schema, by the plural that names it.
var kinds = map[string]string{"RemediationPolicy": "remediationpolicies", "Remediation": "remediations"}

// gates are made once, of schemas that do not change.
var gates = sync.OnceValues(func() (map[string]*gate, error) {
	made := map[string]*gate{}
	for kind, plural := range kinds {
		schema, err := Load(plural)
		if err != nil {
			return nil, err
		}
		if made[kind], err = newGate(schema); err != nil {
			return nil, err
		}
	}
	return made, nil
})

// NewServer is an empty one.
func NewServer() (*Server, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	made, err := gates()
	if err != nil {
		return nil, err
	}
	return &Server{scheme: scheme, kinds: made, objects: map[objectKey]map[string]any{}}, nil
}

// Refused are all writes that the schemas have refused.
func (s *Server) Refused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.refused...)
}

// keyOf names an object, or one like it.
func (s *Server) keyOf(o runtime.Object, key client.ObjectKey) (objectKey, error) {
	gvk, err := apiutil.GVKForObject(o, s.scheme)
	if err != nil {
		return objectKey{}, fmt.Errorf("finding out the kind: %w", err)
	}
	return objectKey{gvk.Kind, key}, nil
}

func (k objectKey) resource() schema.GroupResource {
	return schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: k.kind}
}

// Create implements client.Writer.
func (s *Server) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.keyOf(o, client.ObjectKeyFromObject(o))
	if err != nil {
		return err
	}
	if _, there := s.objects[key]; there {
		return apierrors.NewAlreadyExists(key.resource(), key.Name)
	}
	created, err := asJSON(o)
	if err != nil {
		return err
	}
	meta := metaOf(created)
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("00000000-0000-4000-8000-%012x", s.version+1)
	}
	if gate := s.kinds[key.kind]; gate != nil {
		meta["generation"] = int64(1)
		delete(created, "status")
		fillIn(gate.schema, created)
	}
	return s.keep(key, created, o)
}

// keep takes an object in as it is now, and lets the caller have it.
func (s *Server) keep(key objectKey, object map[string]any, into client.Object) error {
	if gate := s.kinds[key.kind]; gate != nil {
		if errs := gate.refuse(object); len(errs) > 0 {
			err := fmt.Errorf("%s %s is invalid: %w", key.kind, key.Name, errors.Join(errs...))
			s.refused = append(s.refused, err)
			return apierrors.NewBadRequest(err.Error())
		}
	}
	s.version++
	metaOf(object)["resourceVersion"] = strconv.FormatInt(s.version, 10)
	s.objects[key] = object
	return decode(object, into)
}

// Get implements client.Reader.
func (s *Server) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, err := s.keyOf(into, key)
	if err != nil {
		return err
	}
	object, there := s.objects[of]
	if !there {
		return apierrors.NewNotFound(of.resource(), key.Name)
	}
	return decode(object, into)
}

// List implements client.Reader, for the Remediations of a namespace or of a policy.
func (s *Server) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var o client.ListOptions
	o.ApplyOptions(options)
	list, ok := into.(*v1alpha1.RemediationList)
	if !ok {
		return fmt.Errorf("the server lists no %T", into)
	}
	policy, one := "", false
	if o.FieldSelector != nil {
		policy, one = o.FieldSelector.RequiresExactMatch("spec.policyRef.name")
	}
	list.Items = nil
	for _, key := range s.inOrder() {
		if key.kind != "Remediation" || key.Namespace != o.Namespace {
			continue
		}
		var item v1alpha1.Remediation
		if err := decode(s.objects[key], &item); err != nil {
			return err
		}
		if !one || item.Spec.PolicyRef.Name == policy {
			list.Items = append(list.Items, item)
		}
	}
	return nil
}
