// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/metrics"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediationpolicy"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// newManager wires everything together.
func newManager(ctx context.Context, cluster *rest.Config, o options) (manager.Manager, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	mgr, err := newEmptyManager(cluster, o)
	if err != nil {
		return nil, err
	}
	clk, awsOptions, err := timing()
	if err != nil {
		return nil, fmt.Errorf("setting up the clock: %w", err)
	}
	awsConfig, err := awsconfig.LoadDefaultConfig(ctx, awsOptions...)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	regions, err := addRegions(mgr, awsConfig, clk, o)
	if err != nil {
		return nil, err
	}
	policies := &remediationpolicy.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("ssm-remediator"),
		Clock: clk, Regions: regions, Namespace: o.namespace, Shard: o.shard, Spread: true,
	}
	if err := policies.SetupWithManager(ctx, mgr); err != nil {
		return nil, fmt.Errorf("setting up the controller of RemediationPolicies: %w", err)
	}
	if err := ctrlmetrics.Registry.Register(metrics.Lateness(policies.Lateness)); err != nil {
		return nil, fmt.Errorf("registering the metrics: %w", err)
	}
	remediations := &remediation.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("ssm-remediator"),
		Clock: clk, Regions: regions, Namespace: o.namespace, Shard: o.shard,
	}
	if err := remediations.SetupWithManager(ctx, mgr); err != nil {
		return nil, fmt.Errorf("setting up the controller of Remediations: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return nil, fmt.Errorf("adding health checks: %w", err)
		}
	}
	return mgr, nil
}

// newEmptyManager makes a manager without controllers: its cache, its lease and its endpoints.
func newEmptyManager(cluster *rest.Config, o options) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the API: %w", err)
	}
	caches, err := cacheOptions(o)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cluster, manager.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.healthAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              o.shard.Lease(),
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.retryPeriod,
		Cache:                         caches,
	})
	if err != nil {
		return nil, fmt.Errorf("creating the manager: %w", err)
	}
	return mgr, nil
}

// addRegions lets the manager run the regions, and shows what they call in its metrics.
func addRegions(mgr manager.Manager, config aws.Config, clk clock.WithTicker, o options) (*runcommand.Regions, error) {
	calls := metrics.NewCalls()
	regions := runcommand.NewRegions(config, clk, runcommand.BudgetOptions{PerSecond: o.callsPerSecond, Meter: calls})
	for _, collector := range []prometheus.Collector{calls, metrics.Budgets(regions.Budgets)} {
		if err := ctrlmetrics.Registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics: %w", err)
		}
	}
	if err := mgr.Add(regions); err != nil {
		return nil, fmt.Errorf("adding the regions: %w", err)
	}
	return regions, nil
}
