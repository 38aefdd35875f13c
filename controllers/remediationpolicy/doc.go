// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package remediationpolicy reconciles RemediationPolicies: it probes their instances, judges what comes back, opens a
// Remediation where that is decided, and summarises.
//
//	          ┌────────────────────────── Reconcile, never waiting for AWS ──────────────────────────┐
//	timer ──> │ locate   recall   observe   decide   open ──> claim in status, then Remediations      │ ──> status
//	events ─> │                      ^        probe                                prune   summarise  │
//	          └──────────────────────│──────────│────────────────────────────────────────────────────┘
//	                                 │          v
//	                     runcommand.Tracker   Prober: inventory and sends, in the background
//
// What is kept in memory, the fleet of a policy, is only what probes found out since the start: losing it costs a round of
// probes and nothing else. What must not be lost, the attempts, is in the Remediations.
package remediationpolicy
