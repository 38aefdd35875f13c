// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// Calls are metrics of the calls of Systems Manager.
type Calls struct {
	calls *prometheus.CounterVec
	waits *prometheus.HistogramVec
}

var (
	_ prometheus.Collector = (*Calls)(nil)
	_ runcommand.Meter     = (*Calls)(nil)
)

// NewCalls returns Calls to be registered, and to be told of calls.
func NewCalls() *Calls {
	return &Calls{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ssm_remediator_aws_calls_total",
			Help: "Calls of Systems Manager, each page and each retry included: ok, throttled, or error for any other end.",
		}, []string{"account", "region", "operation", "outcome"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ssm_remediator_aws_call_wait_seconds",
			Help:    "How long calls of Systems Manager waited for the AWS budget, by priority.",
			Buckets: []float64{0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300},
		}, []string{"priority"}),
	}
}

// Called implements runcommand.Meter.
func (c *Calls) Called(location runcommand.Location, operation string, outcome runcommand.Outcome) {
	c.calls.WithLabelValues(location.Account, location.Region, operation, string(outcome)).Inc()
}

// Waited implements runcommand.Meter.
func (c *Calls) Waited(priority runcommand.Priority, d time.Duration) {
	c.waits.WithLabelValues(priority.String()).Observe(d.Seconds())
}

// Describe implements prometheus.Collector.
func (c *Calls) Describe(descriptions chan<- *prometheus.Desc) {
	c.calls.Describe(descriptions)
	c.waits.Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (c *Calls) Collect(metrics chan<- prometheus.Metric) {
	c.calls.Collect(metrics)
	c.waits.Collect(metrics)
}
