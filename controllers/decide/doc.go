// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decide holds every decision, without any effect: it sees specs, recorded facts, observations and a time, and
// returns what to do. It knows no Kubernetes client, no AWS and no clock.
//
//	observations ── State.Observe ──> State ─┐
//	                                         ├── Fleet ──> for each instance: act with step k, or wait until T because R
//	Remediations ── AttemptOf ──> Attempts ──┘
//	Remediations ── Prunable ──> the ones that no limit needs any more
//
// Everything follows from recorded facts, never from a condition or a decision of an earlier pass, so that a restart or a
// second replica comes to the same answer.
package decide
