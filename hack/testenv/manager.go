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
	// ManagerNamespace is where config/default and config/sharded put their managers.
	ManagerNamespace = "ssm-remediator-system"
	// serviceAccount is the identity of the manager of config/default, and the beginning of those of config/sharded.
	serviceAccount = "system:serviceaccount:" + ManagerNamespace + ":ssm-remediator-controller-manager"
)

// InstallManager applies what config/default holds, all but the Deployment: there is no node to run it on. StartManager runs
// it as a process of this host instead.
func (c *Cluster) InstallManager(ctx context.Context) error { return c.install(ctx, "config/default") }

// InstallShards applies what config/sharded holds, all but the Deployments. StartShard runs them. The namespaces that
// it names have to exist.
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

// StartManager runs a manager binary with exactly the rights that config/default grants its service account, which it
// impersonates, against a Systems Manager endpoint on loopback.
func (c *Cluster) StartManager(directory, binary, endpoint, region string, args ...string) (*Daemon, error) {
	return c.run(serviceAccount, directory, binary, endpoint, region, args)
}

// StartShard is StartManager for one of the managers of config/sharded.
func (c *Cluster) StartShard(shard, directory, binary, endpoint, region string, args ...string) (*Daemon, error) {
	return c.run(serviceAccount+"-"+shard, directory, binary, endpoint, region, args)
}

func (c *Cluster) run(user, directory, binary, endpoint, region string, args []string) (*Daemon, error) {
	kubeconfig := filepath.Join(directory, "manager.kubeconfig")
	if err := c.impersonating(kubeconfig, user); err != nil {
		return nil, err
	}
	arguments := []string{"--namespace=" + ManagerNamespace, "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	return StartDaemon(directory, binary,
		[]string{
			"KUBECONFIG=" + kubeconfig,
			"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=" + region, "AWS_EC2_METADATA_DISABLED=true",
			"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		},
		append(arguments, args...)...)
}

// impersonating writes a kubeconfig that acts as a user.
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
