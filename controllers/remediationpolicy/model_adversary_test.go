// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"flag"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

var adversaryHours = flag.Float64("model.adversary-hours", 6.5, "simulated hours in which every recovery is undone at once")

// TestAdversary kills the process on all instances again right after every recovery, while the controller is restarted and
// the policy created anew. However often that is, no instance is touched more often than limits.attempts within the window,
// nor before its backoff has passed: the oracle looks at each effect.
func TestAdversary(t *testing.T) {
	t.Parallel()
	const instances = 6
	begun := time.Now()
	s := newSimulation(t, setting{seed: *modelSeed})
	s.addNodes("web", instances)
	spec := v1alpha1.RemediationPolicySpec{
		Targets:  withRole("web"),
		Process:  v1alpha1.ProcessSpec{Name: "httpd"},
		Probe:    v1alpha1.ProbeSpec{PeriodSeconds: 60},
		Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "start"}, {Command: "restart"}}},
		Limits: v1alpha1.LimitsSpec{
			Attempts: 3, WindowSeconds: 2400, BackoffSeconds: 60, BackoffMaxSeconds: 300,
			MaxConcurrent: new(intstr.FromInt32(instances)), MaxUnhealthy: new(intstr.FromString("100%")),
		},
		// So few that pruning has to keep what the limits look at.
		History: v1alpha1.HistorySpec{Limit: 1, TTLSeconds: 60},
	}
	s.create("web", spec)
	s.newRunner()
	for n, m := range s.nodes {
		m.behave(simulated.Step{Takes: time.Duration(n) * time.Second, Helps: true, FailsAfter: time.Duration(n+1) * time.Second})
		m.Fail(s.clock.Now())
	}
	hours := time.Duration(*adversaryHours * float64(time.Hour))
	every := func(d time.Duration, do func()) {
		for at := d; at < hours; at += d {
			s.after(at, do)
		}
	}
	every(17*time.Minute, s.restart)
	every(53*time.Minute, func() {
		s.remove("web")
		s.after(90*time.Second, func() { s.create("web", spec) })
	})
	s.run(hours)

	window := time.Duration(spec.Limits.WindowSeconds) * time.Second
	for _, m := range s.nodes {
		acted := 0
		for _, a := range s.oracle.chains[chainKey{"web", m.ID()}] {
			acted += len(a.effects)
		}
		most := int(spec.Limits.Attempts) * (int(hours/window) + 1)
		// The adversary does not win, and neither does it keep the controller from trying.
		if least := int(spec.Limits.Attempts) * int(hours/window) * 3 / 4; acted > most || acted < least {
			t.Errorf("%s was recovered %d times; expected are %d to %d", m.ID(), acted, least, most)
		}
	}
	s.summary(time.Since(begun))
}
