// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// harness is what all rows share.
type harness struct {
	options
	cluster *testenv.Cluster
	// http talks to the API server as an administrator.
	http *http.Client
	// directory has the logs.
	directory string
	// watch tells that the API has spec.probe.mode, and with it the watch mode.
	watch bool
}

// start starts the control plane and installs what config/ says.
func start(ctx context.Context, o options) (_ *harness, err error) {
	h := &harness{options: o}
	if h.directory, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	if h.cluster, err = testenv.Start(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.stop())
		}
	}()
	if err := h.cluster.InstallManager(ctx); err != nil {
		return nil, err
	}
	if h.http, err = rest.HTTPClientFor(h.cluster.Config); err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	h.watch, err = h.hasWatchMode(ctx)
	return h, err
}

func (h *harness) stop() error { return h.cluster.Stop() }

// hasWatchMode looks for the field in the CRD.
func (h *harness) hasWatchMode(ctx context.Context) (bool, error) {
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	key := client.ObjectKey{Name: "remediationpolicies.ssm-remediator.io"}
	if err := h.cluster.Client.Get(ctx, key, crd); err != nil {
		return false, fmt.Errorf("reading the CRD: %w", err)
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil || len(versions) == 0 {
		return false, fmt.Errorf("reading the versions of the CRD: %w", err)
	}
	version, _ := versions[0].(map[string]any)
	_, found, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", "spec", "properties", "probe",
		"properties", "mode")
	return found, err
}

// choose are the rows that the flags ask for, and the names of those that this version of the API does not have.
func (h *harness) choose() (chosen []*row, missing []string, err error) {
	pattern, err := regexp.Compile(h.options.rows)
	if err != nil {
		return nil, nil, fmt.Errorf("reading -rows: %w", err)
	}
	for _, r := range rows() {
		switch {
		case !pattern.MatchString(r.name) || (h.bounded && !r.bounded):
		case r.watch && !h.watch:
			missing = append(missing, r.name)
		default:
			chosen = append(chosen, r)
		}
	}
	if len(chosen)+len(missing) == 0 {
		return nil, nil, errors.New("choosing rows: none matches -rows")
	}
	return chosen, missing, nil
}
