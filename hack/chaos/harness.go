// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/hack/chaos/scaled"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// harness is what all runs share.
type harness struct {
	options
	cluster *testenv.Cluster
	// client reads and writes live, past the proxies, as an administrator.
	client client.WithWatch
	// asManager has the rights of the manager.
	asManager client.Client
	clock     *scaled.Clock
	// directory has the logs.
	directory string
	rows      []*row
	// chosen is how many of them are made.
	chosen  int
	control *controlPlane
}

// start starts the control plane and installs what config/ says.
func start(ctx context.Context, o options) (_ *harness, err error) {
	h := &harness{options: o, clock: scaled.New(o.scale), rows: rows()}
	if h.directory, err = os.MkdirTemp("", "chaos-"); err != nil {
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
	h.client, err = client.NewWithWatch(h.cluster.Config, client.Options{Scheme: h.cluster.Client.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	h.asManager, err = client.New(impersonated(h.cluster.Config, managerUser), client.Options{Scheme: h.cluster.Client.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	h.control, err = findControlPlane()
	return h, err
}

// stop stops the control plane. Logs that are of use were reported before.
func (h *harness) stop() error {
	var err error
	if h.control != nil {
		err = h.control.stop()
	}
	return errors.Join(err, h.cluster.Stop())
}

// number is the place of a row in the whole table.
func (h *harness) number(row *row) int { return slices.Index(h.rows, row) }

// makeNamespace makes the namespace of a run. Its managers live in it too, so it gets the roles that config/rbac gives the
// manager in its own namespace.
func (h *harness) makeNamespace(ctx context.Context, name string) error {
	if err := h.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return fmt.Errorf("creating the namespace: %w", err)
	}
	roles := &rbacv1.RoleList{}
	if err := h.client.List(ctx, roles, client.InNamespace(managerNamespace)); err != nil {
		return fmt.Errorf("listing the manager's roles: %w", err)
	}
	for i := range roles.Items {
		meta := metav1.ObjectMeta{Namespace: name, Name: roles.Items[i].Name}
		role := &rbacv1.Role{ObjectMeta: meta, Rules: roles.Items[i].Rules}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: managerUser}},
		}
		if err := errors.Join(h.client.Create(ctx, role), h.client.Create(ctx, binding)); err != nil {
			return fmt.Errorf("granting the manager's roles: %w", err)
		}
	}
	return nil
}

// usualIncidents is how many incidents a row has when nobody asks for a number in all.
const usualIncidents = 14

func (h *harness) incidentsPerRow() int {
	if h.incidents == 0 {
		return usualIncidents
	}
	return (h.incidents + h.chosen - 1) / h.chosen
}
