// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

const (
	region = "eu-central-1"
	// nodesPerPolicy and policies make up a fleet.
	nodesPerPolicy = 10
	// maxConcurrent, attempts and usualWindow are limits of the policies, which the oracles know.
	maxConcurrent = 3
	attempts      = 3
	usualWindow   = 10 * time.Minute
	// stable is how long an instance has to be healthy until its incident is over.
	stable = 2 * time.Minute
)

// policies are the names of the policies of a run; each has nodes of its own.
var policies = []string{"httpd", "mysqld"}

// startFleet starts the endpoint and the nodes.
func (r *run) startFleet() error {
	options := ssmlocal.Options{Region: region, Clock: r.clock}
	if r.row.endpoint != nil {
		r.row.endpoint(r, &options)
	}
	r.ssmClock = options.Clock
	r.server = ssmlocal.New(options)
	if err := r.server.Start(""); err != nil {
		return fmt.Errorf("starting the local Systems Manager endpoint: %w", err)
	}
	booted := r.ssmClock.Now().Add(-24 * time.Hour)
	for n, name := range policies {
		fleet, err := simulated.NewFleet(r.server, simulated.FleetOptions{
			Nodes: nodesPerPolicy, First: n * nodesPerPolicy, Tags: map[string]string{"Role": name},
			Booted: booted, Seed: r.seed, Ledger: &r.ledger,
		})
		if err != nil {
			return err
		}
		r.fleets = append(r.fleets, fleet)
		r.nodes = append(r.nodes, fleet.Nodes()...)
	}
	for _, node := range r.nodes {
		node.OnStep(r.step)
	}
	if r.row.prepare != nil {
		r.row.prepare(r)
	}
	return nil
}

// step is what a recovery does: the first step of the ladder helps most times, the second always. It takes its time.
func (r *run) step(e simulated.Effect) simulated.Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	takes := time.Duration(1+r.rng.IntN(6)) * time.Second
	step := simulated.Step{Takes: takes, HelpsAfter: takes, Output: "as simulated", Helps: e.Action != firstStep || r.chance(0.8)}
	if !step.Helps {
		step.Exit = r.rng.IntN(2)
	}
	return step
}

const (
	firstStep  = "systemctl start it"
	secondStep = "systemctl restart it"
)

// policy is one of the run's policies as it is applied.
func (r *run) policy(name string) *v1alpha1.RemediationPolicy {
	steps := []v1alpha1.RecoveryStep{
		{Command: firstStep, TimeoutSeconds: new(int32(10)), VerifySeconds: new(int32(5))},
		{Command: secondStep, TimeoutSeconds: new(int32(10)), VerifySeconds: new(int32(5))},
	}
	policy := &v1alpha1.RemediationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name},
		Spec: v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{name}}}},
			Process:  v1alpha1.ProcessSpec{Name: name},
			Probe:    v1alpha1.ProbeSpec{PeriodSeconds: 10, TimeoutSeconds: 5, ConfirmSeconds: 3},
			Recovery: v1alpha1.RecoverySpec{Steps: steps, StableSeconds: int32(stable / time.Second)},
			Limits: v1alpha1.LimitsSpec{
				Attempts: attempts, WindowSeconds: int32(r.window() / time.Second), BackoffSeconds: 5, BackoffMaxSeconds: 20,
				MaxConcurrent: new(intstr.FromInt32(maxConcurrent)), MaxUnhealthy: new(intstr.FromString("100%")),
				StopAfterIneffective: 1000,
			},
			History: v1alpha1.HistorySpec{Limit: 5},
		},
	}
	if r.row.policy != nil {
		r.row.policy(&policy.Spec)
	}
	return policy
}

// makeIncidents ends processes on random nodes that are up, some at once and others one after the other, so that at every
// moment some are in every phase.
func (r *run) makeIncidents(ctx context.Context, count int) {
	for count > 0 && ctx.Err() == nil {
		burst := min(count, r.number(1, mostAtOnce))
		count -= burst
		r.fail(burst, r.fleets...)
		r.connect()
		r.sleep(ctx, time.Duration(burst)*r.between(time.Second, 9*time.Second))
	}
}

// mostAtOnce is how many processes end at once at most: more than may be under recovery at once.
const mostAtOnce = 2 * (maxConcurrent + 1)

// fail ends so many processes, spread over fleets.
func (r *run) fail(count int, fleets ...*simulated.Fleet) {
	for n := range count {
		failed := fleets[n%len(fleets)].Fail(r.ssmClock.Now(), 1)
		r.mu.Lock()
		r.incidents += len(failed)
		r.mu.Unlock()
	}
}

// window is that of the limits of the row.
func (r *run) window() time.Duration { return cmp.Or(r.row.window, usualWindow) }

// connect lets the server know which nodes are off.
func (r *run) connect() {
	for _, fleet := range r.fleets {
		fleet.Connect(r.ssmClock.Now())
	}
}

// down are the nodes whose process does not run.
func (r *run) down() []string {
	// What is due on the nodes happens when somebody looks at the server.
	_ = r.server.Calls()
	r.connect()
	var down []string
	for _, node := range r.nodes {
		if !node.Up(r.ssmClock.Now()) {
			down = append(down, node.ID())
		}
	}
	return down
}
