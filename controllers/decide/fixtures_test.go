// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// noon is the now of all tests.
var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// ago is so many seconds before noon.
func ago(n int) time.Time { return noon.Add(-time.Duration(n) * time.Second) }

// defaults is a spec with the defaults of the schema and a ladder of three steps.
func defaults() *v1alpha1.RemediationPolicySpec {
	return &v1alpha1.RemediationPolicySpec{
		Probe: v1alpha1.ProbeSpec{
			PeriodSeconds: 30, TimeoutSeconds: 10, FailureThreshold: 2, ConfirmSeconds: 5, SuccessThreshold: 1,
		},
		Recovery: v1alpha1.RecoverySpec{
			Steps: []v1alpha1.RecoveryStep{{Command: "one"}, {Command: "two"}, {Command: "three"}}, StableSeconds: 600,
		},
		Limits: v1alpha1.LimitsSpec{
			Attempts: 3, WindowSeconds: 3600, BackoffSeconds: 60, BackoffMaxSeconds: 600,
			StopAfterIneffective: 5,
			MaxConcurrent:        new(intstr.FromString("10%")),
			MaxUnhealthy:         new(intstr.FromString("50%")),
		},
		History: v1alpha1.HistorySpec{Limit: 100, TTLSeconds: 604800},
	}
}

// down is an instance that was first seen down, and over the threshold, so many seconds ago, and was just probed again.
func down(id string, secondsAgo int, attempts ...Attempt) Instance {
	return Instance{ID: id, Attempts: attempts, State: State{
		Health: v1alpha1.HealthUnhealthy, Reason: "ProcessNotRunning", Failures: 2,
		FirstFailure: ago(secondsAgo), DownTime: ago(secondsAgo),
		Last: Observation{Health: v1alpha1.HealthUnhealthy, ProbeTime: ago(1), ReadTime: noon},
	}}
}

// ended is an attempt that ended so many seconds ago.
func ended(sequence int64, number, step int32, result v1alpha1.Result, secondsAgo int) Attempt {
	return Attempt{
		Name: "httpd-x", Sequence: sequence, Number: number, Step: step, Result: result,
		EndTime: ago(secondsAgo),
	}
}

// running is a first attempt.
func running() Attempt {
	return Attempt{Name: "httpd-x", Sequence: 1, Number: 1, Result: v1alpha1.ResultRunning}
}
