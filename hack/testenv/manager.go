// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
)

const (
	// ManagerNamespace is where config/default puts the manager.
	ManagerNamespace = "ssm-remediator-system"
	// serviceAccount is the identity of the manager there.
	serviceAccount = "system:serviceaccount:" + ManagerNamespace + ":ssm-remediator-controller-manager"
)

// InstallManager applies what config/default holds, all but the Deployment: there is no node to run it on. StartManager runs
// it as a process of this host instead.
func (c *Cluster) InstallManager(ctx context.Context) error {
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

// ManagerOptions say which manager StartManager runs, and how.
type ManagerOptions struct {
	// Directory gets its log and its kubeconfig.
	Directory string
	// Binary is the manager.
	Binary string
	// Endpoint is that of Systems Manager, on loopback.
	Endpoint string
	Region   string
	// Arguments and Environment are what it gets besides. An argument wins over the one of that name from here.
	Arguments, Environment []string
}

// StartManager runs a manager binary with exactly the rights that config/rbac grants its service account, which it
// impersonates, against a Systems Manager endpoint on loopback.
func (c *Cluster) StartManager(o ManagerOptions) (*Daemon, error) {
	kubeconfig := filepath.Join(o.Directory, "manager.kubeconfig")
	if err := c.impersonating(kubeconfig); err != nil {
		return nil, err
	}
	env := []string{
		"KUBECONFIG=" + kubeconfig,
		"AWS_ENDPOINT_URL=" + o.Endpoint, "AWS_REGION=" + o.Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
	}
	args := []string{"--namespace=" + ManagerNamespace, "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	return StartDaemon(o.Directory, o.Binary, append(env, o.Environment...), append(args, o.Arguments...)...)
}

// impersonating writes a kubeconfig that acts as the service account.
func (c *Cluster) impersonating(path string) error {
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = serviceAccount
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:authenticated"}
	}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing the manager's kubeconfig: %w", err)
	}
	return nil
}
