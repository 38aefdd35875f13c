// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// serviceAccount is the identity of the manager in config/default.
const serviceAccount = "system:serviceaccount:ssm-remediator-system:ssm-remediator-controller-manager"

// cluster is an embedded control plane with our CRDs and RBAC, but without nodes.
type cluster struct {
	*testenv.Cluster
	controllers *daemon
	// managerKubeconfig is a kubeconfig that acts as the manager's service account.
	managerKubeconfig string
}

func startCluster(ctx context.Context, directory string) (_ *cluster, err error) {
	control, err := testenv.Start(ctx)
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: control, managerKubeconfig: filepath.Join(directory, "manager.kubeconfig")}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	// It collects what owner references leave behind, and ends deleted namespaces, as in a real cluster.
	c.controllers, err = startDaemon(directory, filepath.Join(control.Assets(), "kube-controller-manager"), nil,
		"--kubeconfig="+control.Kubeconfig(), "--leader-elect=false", "--secure-port=0",
		"--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller")
	if err != nil {
		return nil, err
	}
	if err := c.install(ctx); err != nil {
		return nil, err
	}
	return c, c.writeManagerKubeconfig()
}

// install applies what config/default holds, all but the Deployment: there is no node to run it on, and the manager is a
// process of this machine instead.
func (c *cluster) install(ctx context.Context) error {
	manifests, err := c.Kubectl(ctx, "", "kustomize", "config/default")
	if err != nil {
		return err
	}
	documents := slices.DeleteFunc(strings.Split(manifests, "\n---\n"), func(document string) bool {
		return strings.Contains("\n"+document, "\nkind: Deployment\n")
	})
	_, err = c.Kubectl(ctx, strings.Join(documents, "\n---\n"), "apply", "--server-side", "-f", "-")
	return err
}

// writeManagerKubeconfig writes a kubeconfig that impersonates the service account, so that the manager has exactly the
// rights that it will have in a real cluster.
func (c *cluster) writeManagerKubeconfig() error {
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = serviceAccount
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:authenticated"}
	}
	if err := clientcmd.WriteToFile(*config, c.managerKubeconfig); err != nil {
		return fmt.Errorf("writing the manager's kubeconfig: %w", err)
	}
	return nil
}

func (c *cluster) stop() error {
	var err error
	if c.controllers != nil {
		err = c.controllers.stop()
	}
	return errors.Join(err, c.Cluster.Stop())
}
