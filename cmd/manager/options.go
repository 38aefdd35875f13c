// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "flag"

// options are what the flags say. AWS is not among them: the SDK takes credentials from its own sources (environment, web
// identity, container endpoint, instance metadata), and the default region from AWS_REGION or its configuration file.
type options struct {
	metricsAddress string
	healthAddress  string
	leaderElect    bool
	leaderElectNS  string
}

func (o *options) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080",
		"Address of the Prometheus metrics endpoint (/metrics), or 0 for none.")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081",
		"Address of the endpoints /healthz and /readyz, or 0 for none.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Let one of several replicas work at a time. Needed with more than one replica.")
	flags.StringVar(&o.leaderElectNS, "leader-election-namespace", "",
		"Namespace of the lease. Defaults to the namespace that the manager runs in.")
}
