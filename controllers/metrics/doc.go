// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics shows operators in Prometheus what the controllers know and no object tells. What is measured knows nothing of
// Prometheus: it is asked, or tells an interface of its own.
package metrics
