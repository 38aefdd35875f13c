// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

const (
	region = "eu-central-1"
	unit   = "httpd.service"
)

// What nodes are like. A command reaches the agent ackDelay after it was sent, a look at the process takes lookTakes, and
// the recovery stepTakes; then the process runs.
const (
	ackDelay  = 500 * time.Millisecond
	lookTakes = 200 * time.Millisecond
	stepTakes = 500 * time.Millisecond
	// command is how long a recovery takes on a node: it looks, acts, and looks again.
	command = ackDelay + lookTakes + stepTakes + lookTakes
)

// Defaults of spec.probe.
const (
	period  = 30 * time.Second
	confirm = 5 * time.Second
)

// retention is how long the endpoint keeps what was sent. The real one keeps it for 30 days, which would be the memory of
// this process and not that of the manager.
const retention = 10 * time.Minute

// startFleet starts the endpoint and the nodes.
func (r *run) startFleet(ctx context.Context) error {
	r.coverage = newCoverage(r.row.policies, r.row.nodes)
	r.server = ssmlocal.New(ssmlocal.Options{
		Region: region, Clock: r.clock, AckDelay: ackDelay, RampUp: r.row.rampUp, Retention: retention, OnExecution: r.coverage.see,
	})
	for n := range r.row.policies {
		fleet, err := simulated.NewFleet(r.server, simulated.FleetOptions{
			Nodes: r.row.nodes, First: n * r.row.nodes, Tags: map[string]string{tagKey: policyName(n)},
			Booted: r.clock.Now().Add(-24 * time.Hour),
		})
		if err != nil {
			return err
		}
		r.nodes = append(r.nodes, fleet.Nodes()...)
	}
	for _, node := range r.nodes {
		node.SetLookTakes(lookTakes)
		node.SetStep(simulated.Step{Takes: stepTakes, Helps: true, HelpsAfter: stepTakes})
	}
	r.server.SetRateLimit(r.row.rate)
	ticking, stop := context.WithCancel(ctx)
	r.stopTicking = stop
	go r.tick(ticking)
	var err error
	r.recorder, err = record(r.server, r.clock)
	return err
}

// tick makes the endpoint catch up often, so that it does not do in one call what ten thousand nodes have done since the last.
func (r *run) tick(ctx context.Context) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = r.server.Invocations()
		}
	}
}

const tagKey = "Role"

func policyName(n int) string { return fmt.Sprintf("p-%04d", n) }

// creators is how many policies are created at a time.
const creators = 8

// createPolicies creates the policies of the row.
func (r *run) createPolicies(ctx context.Context) error {
	var workers sync.WaitGroup
	queue, errs := make(chan int), make([]error, r.row.policies)
	for range creators {
		workers.Go(func() {
			for n := range queue {
				errs[n] = r.createPolicy(ctx, n)
			}
		})
	}
	for n := range r.row.policies {
		queue <- n
	}
	close(queue)
	workers.Wait()
	return errors.Join(errs...)
}

// createPolicy creates one. What users do not have to write is not written, so that defaults are measured.
func (r *run) createPolicy(ctx context.Context, n int) error {
	policy := &v1alpha1.RemediationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RemediationPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: policyName(n)},
		Spec: v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: tagKey, Values: []string{policyName(n)}}}},
			Process:  v1alpha1.ProcessSpec{SystemdUnit: unit},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "systemctl start httpd"}}},
			// Kept until they are read here.
			History: v1alpha1.HistorySpec{Limit: 10_000},
		},
	}
	if r.row.byID {
		policy.Spec.Targets = v1alpha1.Targets{}
		for _, node := range r.nodes[n*r.row.nodes : (n+1)*r.row.nodes] {
			policy.Spec.Targets.InstanceIDs = append(policy.Spec.Targets.InstanceIDs, v1alpha1.InstanceID(node.ID()))
		}
	}
	if r.row.spec != nil {
		r.row.spec(&policy.Spec)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	if err != nil {
		return fmt.Errorf("making a policy: %w", err)
	}
	delete(object, "status")
	if r.row.watch {
		if err := unstructured.SetNestedField(object, "Watch", "spec", "probe", "mode"); err != nil {
			return fmt.Errorf("making a policy that watches: %w", err)
		}
	}
	if err := r.cluster.Client.Create(ctx, &unstructured.Unstructured{Object: object}); err != nil {
		return fmt.Errorf("creating a policy: %w", err)
	}
	return nil
}

// policies are all of the row as they are now.
func (r *run) policies(ctx context.Context) ([]v1alpha1.RemediationPolicy, error) {
	list := &v1alpha1.RemediationPolicyList{}
	if err := r.cluster.Client.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	return list.Items, nil
}

// remediations are all of the row as they are now.
func (r *run) remediations(ctx context.Context) ([]v1alpha1.Remediation, error) {
	list := &v1alpha1.RemediationList{}
	if err := r.cluster.Client.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return nil, fmt.Errorf("listing Remediations: %w", err)
	}
	return list.Items, nil
}
