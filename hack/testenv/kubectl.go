// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kubectl runs kubectl as the user of Config, with stdin as its standard input and the repository as its working
// directory, and returns what it printed on both outputs. A failure has the same text in the error.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(c.Assets(), "kubectl"), args...)
	command.Dir = c.Root
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("running kubectl %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return string(output), nil
}

// Kubeconfig returns the path of a kubeconfig of the user of Config. The file is there until Stop.
func (c *Cluster) Kubeconfig() string {
	return filepath.Join(c.directory, "kubeconfig")
}

// Assets returns the directory of the binaries: etcd, kube-apiserver, kubectl, and what else was asked for.
func (c *Cluster) Assets() string {
	return os.Getenv(assetsVariable)
}
