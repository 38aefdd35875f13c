// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// cluster is an embedded control plane with our CRDs and RBAC, but without nodes.
type cluster struct {
	*testenv.Cluster
	controllers *testenv.Daemon
}

func startCluster(ctx context.Context, directory string) (_ *cluster, err error) {
	control, err := testenv.Start(ctx)
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: control}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	// It collects what owner references leave behind, and ends deleted namespaces, as in a real cluster.
	binary := filepath.Join(control.Assets(), "kube-controller-manager")
	c.controllers, err = testenv.StartDaemon(directory, binary, nil,
		"--kubeconfig="+control.Kubeconfig(), "--leader-elect=false", "--secure-port=0",
		"--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller")
	if err != nil {
		return nil, err
	}
	return c, c.InstallManager(ctx)
}

func (c *cluster) stop() error {
	var err error
	if c.controllers != nil {
		err = c.controllers.Stop()
	}
	return errors.Join(err, c.Stop())
}
