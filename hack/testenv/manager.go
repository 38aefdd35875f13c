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
	// ManagerNamespace is where config/default puts the manager, and config/sharded its managers.
	ManagerNamespace = "ssm-remediator-system"
	// serviceAccount is the identity of the manager of config/default, and the beginning of those of config/sharded.
	serviceAccount = "system:serviceaccount:" + ManagerNamespace + ":ssm-remediator-controller-manager"
)

// InstallManager applies what config/default holds, all but the Deployment: there is no node to run it on. StartManager runs
// it as a process of this host instead.
func (c *Cluster) InstallManager(ctx context.Context) error { return c.install(ctx, "config/default") }

// InstallShards does so with config/sharded. The namespaces that are named there have to exist.
func (c *Cluster) InstallShards(ctx context.Context) error { return c.install(ctx, "config/sharded") }

func (c *Cluster) install(ctx context.Context, directory string) error {
	manifests, err := c.Kubectl(ctx, "", "kustomize", directory)
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
	// Shard names one of the managers of config/sharded; it is that of config/default when this is empty.
	Shard string
	// Arguments and Environment are what it gets besides. An argument wins over the one of that name from here.
	Arguments, Environment []string
}

// StartManager runs a manager binary with exactly the rights that config/ grants its service account, which it impersonates,
// against a Systems Manager endpoint on loopback.
func (c *Cluster) StartManager(o ManagerOptions) (*Daemon, error) {
	kubeconfig := filepath.Join(o.Directory, "manager.kubeconfig")
	user := serviceAccount
	if o.Shard != "" {
		user += "-" + o.Shard
	}
	if err := c.impersonating(kubeconfig, user); err != nil {
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

// impersonating writes a kubeconfig that acts as a service account.
func (c *Cluster) impersonating(path, name string) error {
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = name
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:authenticated"}
	}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing the manager's kubeconfig: %w", err)
	}
	return nil
}
