// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// The whole runs, as `make model` makes them:
//
//	go test ./controllers/remediationpolicy -run TestModel -model.hours=24 -model.nodes=200 -model.seed=7 -timeout=30m
var (
	modelHours = flag.Float64("model.hours", 1, "simulated hours of random failures")
	modelNodes = flag.Int("model.nodes", 40, "instances with random failures")
	modelSeed  = flag.Uint64("model.seed", 1, "decides which failures: the same seed makes the same ones")
	modelSeeds = flag.Uint64("model.seeds", 1, "how many seeds to try, from model.seed on")
)

const restartDocument = "Team-RestartWeb"

// modelPolicy is a policy of the model. Together they have all kinds of steps, and two of them share nodes with another one.
type modelPolicy struct {
	name string
	spec func(*simulation) v1alpha1.RemediationPolicySpec
}

var modelPolicies = []modelPolicy{
	{"web", func(*simulation) v1alpha1.RemediationPolicySpec {
		return v1alpha1.RemediationPolicySpec{
			Targets: withRole("web"),
			Process: v1alpha1.ProcessSpec{Name: "httpd"},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{
				{Command: "systemctl start httpd"}, {Document: &v1alpha1.DocumentStep{Name: restartDocument}}, {Reboot: &v1alpha1.RebootStep{}},
			}},
			Limits:  v1alpha1.LimitsSpec{MaxUnhealthy: new(intstr.FromString("30%"))},
			History: v1alpha1.HistorySpec{Limit: 50},
		}
	}},
	{"db", func(*simulation) v1alpha1.RemediationPolicySpec {
		return v1alpha1.RemediationPolicySpec{
			Targets: withRole("db"),
			Process: v1alpha1.ProcessSpec{SystemdUnit: "postgresql.service"},
			Probe:   v1alpha1.ProbeSpec{PeriodSeconds: 60},
			Recovery: v1alpha1.RecoverySpec{
				Steps:    []v1alpha1.RecoveryStep{{Command: "systemctl start postgresql"}, {Command: "repair", TimeoutSeconds: new(int32(120))}},
				Evidence: []v1alpha1.ShellCommand{"journalctl -u postgresql -n 20"},
			},
			Limits: v1alpha1.LimitsSpec{
				Attempts: 4, WindowSeconds: 1800, BackoffSeconds: 30, BackoffMaxSeconds: 300, MaxConcurrent: new(intstr.FromInt32(3)),
				StopAfterIneffective: 8,
			},
			MaintenanceWindows: []v1alpha1.MaintenanceWindow{
				{Schedule: "15 23 * * *", DurationSeconds: 1200, Action: v1alpha1.WindowDeny},
				{Schedule: "30 4 * * *", DurationSeconds: 5400, TimeZone: "Europe/Berlin", Action: v1alpha1.WindowDeny},
			},
			History: v1alpha1.HistorySpec{Limit: 1, TTLSeconds: 3600},
		}
	}},
	{"audit", func(*simulation) v1alpha1.RemediationPolicySpec {
		return v1alpha1.RemediationPolicySpec{
			Targets:  withRole("db"),
			Process:  v1alpha1.ProcessSpec{PIDFile: "/run/postgresql.pid"},
			Mode:     v1alpha1.ModeObserve,
			Probe:    v1alpha1.ProbeSpec{PeriodSeconds: 120, TimeoutSeconds: 5, ConfirmSeconds: 20, FailureThreshold: 3},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "true"}}},
		}
	}},
	{"canary", func(s *simulation) v1alpha1.RemediationPolicySpec {
		spec := v1alpha1.RemediationPolicySpec{
			Process: v1alpha1.ProcessSpec{Command: "curl -fsS localhost"},
			Probe:   v1alpha1.ProbeSpec{PeriodSeconds: 45, FailureThreshold: 1},
			Recovery: v1alpha1.RecoverySpec{StableSeconds: 1200, Steps: []v1alpha1.RecoveryStep{
				{Command: "restart", VerifySeconds: new(int32(5))}, {Reboot: &v1alpha1.RebootStep{}, VerifySeconds: new(int32(300))},
			}},
			Limits: v1alpha1.LimitsSpec{Attempts: 2, WindowSeconds: 900, MaxUnhealthy: new(intstr.FromInt32(4))},
		}
		for _, m := range s.nodes[:8] {
			spec.Targets.InstanceIDs = append(spec.Targets.InstanceIDs, v1alpha1.InstanceID(m.ID()))
		}
		return spec
	}},
}

func withRole(role string) v1alpha1.Targets {
	return v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{role}}}}
}

// newModel is a simulation with the policies of the model, which has settled.
func newModel(t testing.TB, seed uint64, nodes int) *simulation {
	s := newSimulation(t, setting{seed: seed})
	s.must(s.server.AddDocument(ssmlocal.Document{Name: restartDocument, Versions: []ssmlocal.DocumentVersion{{
		Steps: []ssmlocal.Step{{Name: "restart", Script: "restart"}},
	}}}))
	s.addNodes("web", nodes*2/3)
	s.addNodes("db", nodes-nodes*2/3)
	for _, p := range modelPolicies {
		s.create(p.name, p.spec(s))
	}
	s.newRunner()
	s.run(5 * time.Minute)
	s.faults = background
	return s
}

// TestModel lets random things go wrong for hours, has everything that is promised to users checked at every step, and then
// repairs what is broken: everything has to be healthy again.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range *modelSeeds {
		t.Run(fmt.Sprint("seed ", *modelSeed+seed), func(t *testing.T) { model(t, *modelSeed+seed) })
	}
}

func model(t *testing.T, seed uint64) {
	begun := time.Now()
	s := newModel(t, seed, *modelNodes)
	trouble := time.Duration(*modelHours * float64(time.Hour))
	s.unleash(trouble)
	s.run(trouble)
	s.run(5 * time.Minute)
	s.repair()
	s.run(40 * time.Minute)
	now := s.clock.Now()
	for _, m := range s.nodes {
		if !m.Up(now) {
			t.Errorf("%s is still down", m.ID())
		}
	}
	for _, p := range modelPolicies {
		if policy := s.journal.policy(s.key(p.name)); !saysHealthy(policy) {
			t.Errorf("policy %s says: %+v", p.name, policy.Status.Conditions)
		}
	}
	for _, a := range s.oracle.inOrder(s.oracle.running) {
		t.Errorf("%v has no result", a)
	}
	s.summary(time.Since(begun))
}

// TestModelIsReproducible has the same seed tell the same story twice, and another seed another one.
func TestModelIsReproducible(t *testing.T) {
	t.Parallel()
	story := func(seed uint64) uint64 {
		s := newModel(t, seed, 12)
		s.unleash(20 * time.Minute)
		s.run(20 * time.Minute)
		return s.oracle.digest
	}
	first, again, other := story(*modelSeed), story(*modelSeed), story(*modelSeed+1)
	if first != again || first == other {
		t.Errorf("the digests are %x, %x, and for another seed %x", first, again, other)
	}
}

// summary prints what happened.
func (s *simulation) summary(took time.Duration) {
	s.t.Logf("seed %d: %v on %d instances in %v; digest %x", s.seed, s.elapsed(), len(s.nodes), took.Round(time.Second), s.oracle.digest)
	s.t.Logf("Remediations: %d in all, at most %d at a time; the largest status has %d bytes", len(s.oracle.attempts), s.oracle.most,
		s.oracle.largest)
	for _, counts := range []map[string]int{s.oracle.counts, s.journal.counts(), s.server.Calls()} {
		line := ""
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			line += fmt.Sprintf("%s %d, ", what, counts[what])
		}
		s.t.Log(line)
	}
}
