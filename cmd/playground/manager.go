// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// startManager runs the manager as users run it: as a process of its own, with the rights of its service account. Its
// binary lies beside this one.
func startManager(cluster *cluster, fleet *fleet, directory string) (*testenv.Daemon, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the manager: %w", err)
	}
	return cluster.StartManager(testenv.ManagerOptions{
		Directory: directory, Binary: filepath.Join(filepath.Dir(self), "manager"), Endpoint: fleet.server.URL(), Region: region,
	})
}

// printLog prints what the manager logged, when the story did not go as it should.
func printLog(manager *testenv.Daemon) {
	text, err := os.ReadFile(manager.LogFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reading the manager's log:", err)
		return
	}
	fmt.Fprintf(os.Stderr, "--- log of the manager\n%s---\n", text)
}
