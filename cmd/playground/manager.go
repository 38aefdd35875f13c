// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// managerProcess is the manager, run as users run it: as a process of its own, with the rights of its service account.
type managerProcess struct {
	*daemon
}

func startManager(cluster *cluster, fleet *fleet, directory string) (*managerProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the manager: %w", err)
	}
	binary := filepath.Join(filepath.Dir(self), "manager")
	process, err := startDaemon(directory, binary,
		[]string{
			"KUBECONFIG=" + cluster.managerKubeconfig,
			"AWS_ENDPOINT_URL=" + fleet.server.URL(),
			"AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=playground", "AWS_SECRET_ACCESS_KEY=playground",
			"AWS_EC2_METADATA_DISABLED=true",
		},
		"--metrics-bind-address=0", "--health-probe-bind-address=0")
	if err != nil {
		return nil, err
	}
	return &managerProcess{process}, nil
}

// printLog prints what the manager logged, when the story did not go as it should.
func (m *managerProcess) printLog() {
	text, err := os.ReadFile(m.logFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reading the manager's log:", err)
		return
	}
	fmt.Fprintf(os.Stderr, "--- log of the manager\n%s---\n", text)
}
