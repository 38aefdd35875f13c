// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/metrics"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediationpolicy"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/surroundings"
)

// newManager wires everything together.
func newManager(ctx context.Context, cluster *rest.Config, o options) (manager.Manager, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the API: %w", err)
	}
	mgr, err := ctrl.NewManager(cluster, manager.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.healthAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "ssm-remediator.io",
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.retryPeriod,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// Of all ConfigMaps only the kill switch is looked at.
			ByObject: map[client.Object]cache.ByObject{
				surroundings.KillSwitch(): {Namespaces: map[string]cache.Config{o.namespace: {
					FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, v1alpha1.KillSwitch),
				}}},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("creating the manager: %w", err)
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
		Clock: clk, Regions: regions, Namespace: o.namespace,
	}
	if err := policies.SetupWithManager(ctx, mgr); err != nil {
		return nil, fmt.Errorf("setting up the controller of RemediationPolicies: %w", err)
	}
	remediations := &remediation.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("ssm-remediator"),
		Clock: clk, Regions: regions, Namespace: o.namespace,
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
