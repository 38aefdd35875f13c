// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

var probesLate = prometheus.NewDesc("ssm_remediator_policy_probes_late_seconds",
	"How late the round of probes is that a policy is due for, or was when it began: 0 on time. Large while AWS throttles, or when "+
		"more is declared than the AWS budget allows.",
	[]string{"namespace", "policy"}, nil)

// Lateness is a metric of how late the probes of policies are, which is asked for whenever the metrics are read.
type Lateness func() map[types.NamespacedName]time.Duration

var _ prometheus.Collector = (Lateness)(nil)

// Describe implements prometheus.Collector.
func (l Lateness) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- probesLate }

// Collect implements prometheus.Collector.
func (l Lateness) Collect(metrics chan<- prometheus.Metric) {
	for policy, late := range l() {
		metrics <- prometheus.MustNewConstMetric(probesLate, prometheus.GaugeValue, late.Seconds(), policy.Namespace, policy.Name)
	}
}
