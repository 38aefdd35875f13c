// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the controllers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	// Images without a time zone database are common, and spec.maintenanceWindows name time zones.
	_ "time/tzdata"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

func main() {
	var o options
	o.bind(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))

	if err := start(ctrl.SetupSignalHandler(), o); err != nil {
		ctrl.Log.Error(err, "The manager ended with an error")
		os.Exit(1)
	}
}

func start(ctx context.Context, o options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	mgr, err := newManager(ctx, config, o)
	if err != nil {
		return err
	}
	ctrl.Log.Info("Starting the manager", "for", o.shard.String(), "lease", o.shard.Lease())
	return mgr.Start(ctx)
}
