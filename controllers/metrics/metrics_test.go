// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

var berlin = runcommand.Location{Account: "123456789012", Region: "eu-central-1"}

// shows compares what a collector shows of some metrics, and what the linter of Prometheus has against it.
func shows(t *testing.T, c prometheus.Collector, want string, names ...string) {
	t.Helper()
	g := NewWithT(t)
	registry := prometheus.NewPedanticRegistry()
	g.Expect(registry.Register(c)).To(Succeed())
	g.Expect(testutil.GatherAndCompare(registry, strings.NewReader(want), names...)).To(Succeed())
	g.Expect(testutil.GatherAndLint(registry)).To(BeEmpty())
}

func TestCalls(t *testing.T) {
	calls := NewCalls()
	calls.Called(berlin, "SendCommand", runcommand.OutcomeOK)
	calls.Called(berlin, "SendCommand", runcommand.OutcomeOK)
	calls.Called(berlin, "SendCommand", runcommand.OutcomeThrottled)
	calls.Called(runcommand.Location{Account: "123456789012", Region: "eu-west-1"}, "ListCommands", runcommand.OutcomeError)
	calls.Waited(runcommand.PriorityRecovery, 0)
	calls.Waited(runcommand.PriorityProbe, 1500*time.Millisecond)
	calls.Waited(runcommand.PriorityProbe, 20*time.Minute)
	shows(t, calls, `
# HELP ssm_remediator_aws_calls_total Calls of Systems Manager, each page and each retry included: ok, throttled, or error for any other end.
# TYPE ssm_remediator_aws_calls_total counter
ssm_remediator_aws_calls_total{account="123456789012",operation="ListCommands",outcome="error",region="eu-west-1"} 1
ssm_remediator_aws_calls_total{account="123456789012",operation="SendCommand",outcome="ok",region="eu-central-1"} 2
ssm_remediator_aws_calls_total{account="123456789012",operation="SendCommand",outcome="throttled",region="eu-central-1"} 1
# HELP ssm_remediator_aws_call_wait_seconds How long calls of Systems Manager waited for the AWS budget, by priority.
# TYPE ssm_remediator_aws_call_wait_seconds histogram
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="0.01"} 0
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="0.1"} 0
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="0.5"} 0
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="1"} 0
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="2"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="5"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="10"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="30"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="60"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="300"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="probe",le="+Inf"} 2
ssm_remediator_aws_call_wait_seconds_sum{priority="probe"} 1201.5
ssm_remediator_aws_call_wait_seconds_count{priority="probe"} 2
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="0.01"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="0.1"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="0.5"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="1"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="2"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="5"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="10"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="30"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="60"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="300"} 1
ssm_remediator_aws_call_wait_seconds_bucket{priority="recovery",le="+Inf"} 1
ssm_remediator_aws_call_wait_seconds_sum{priority="recovery"} 0
ssm_remediator_aws_call_wait_seconds_count{priority="recovery"} 1
`)
}

func TestLateness(t *testing.T) {
	lateness := Lateness(func() map[types.NamespacedName]time.Duration {
		return map[types.NamespacedName]time.Duration{{Namespace: "web", Name: "httpd"}: 0, {Namespace: "db", Name: "postgres"}: 90 * time.Second}
	})
	shows(t, lateness, `
# HELP ssm_remediator_policy_probes_late_seconds How late the round of probes is that a policy is due for, or was when it began: 0 on time. Large while AWS throttles, or when more is declared than the AWS budget allows.
# TYPE ssm_remediator_policy_probes_late_seconds gauge
ssm_remediator_policy_probes_late_seconds{namespace="db",policy="postgres"} 90
ssm_remediator_policy_probes_late_seconds{namespace="web",policy="httpd"} 0
`)
}

func TestBudgets(t *testing.T) {
	state := runcommand.BudgetState{PerSecond: 4.5, Throttled: true}
	state.Waiting[runcommand.PriorityResults], state.Waiting[runcommand.PriorityProbe] = 1, 16
	budgets := Budgets(func() map[runcommand.Location]runcommand.BudgetState {
		return map[runcommand.Location]runcommand.BudgetState{berlin: state}
	})
	shows(t, budgets, `
# HELP ssm_remediator_aws_budget_calls_per_second Calls of Systems Manager that the AWS budget allows at present: as configured, or fewer while AWS throttles.
# TYPE ssm_remediator_aws_budget_calls_per_second gauge
ssm_remediator_aws_budget_calls_per_second{account="123456789012",region="eu-central-1"} 4.5
# HELP ssm_remediator_aws_queue_length Calls of Systems Manager that wait for the AWS budget, by priority.
# TYPE ssm_remediator_aws_queue_length gauge
ssm_remediator_aws_queue_length{account="123456789012",priority="confirm",region="eu-central-1"} 0
ssm_remediator_aws_queue_length{account="123456789012",priority="probe",region="eu-central-1"} 16
ssm_remediator_aws_queue_length{account="123456789012",priority="recovery",region="eu-central-1"} 0
ssm_remediator_aws_queue_length{account="123456789012",priority="results",region="eu-central-1"} 1
`)
}
