// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

var (
	budgetRate = prometheus.NewDesc("ssm_remediator_aws_budget_calls_per_second",
		"Calls of Systems Manager that the AWS budget allows at present: as configured, or fewer while AWS throttles.",
		[]string{"account", "region"}, nil)
	queueLength = prometheus.NewDesc("ssm_remediator_aws_queue_length",
		"Calls of Systems Manager that wait for the AWS budget, by priority.",
		[]string{"account", "region", "priority"}, nil)
)

// Budgets are metrics of AWS budgets, which are asked for whenever the metrics are read.
type Budgets func() map[runcommand.Location]runcommand.BudgetState

var _ prometheus.Collector = (Budgets)(nil)

// Describe implements prometheus.Collector.
func (b Budgets) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- budgetRate
	descriptions <- queueLength
}

// Collect implements prometheus.Collector.
func (b Budgets) Collect(metrics chan<- prometheus.Metric) {
	for location, state := range b() {
		metrics <- prometheus.MustNewConstMetric(budgetRate, prometheus.GaugeValue, state.PerSecond, location.Account, location.Region)
		for priority, waiting := range state.Waiting {
			metrics <- prometheus.MustNewConstMetric(queueLength, prometheus.GaugeValue, float64(waiting),
				location.Account, location.Region, runcommand.Priority(priority).String())
		}
	}
}
