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
// A round of probes is one command to the tags of a fleet, or one for each fifty ids. The counts of a command tell that all is well;
// only the exceptions are read:
//
//	inventory, kept ──> send ──> counts fit the inventory, all succeeded ──────────────> Healthy, all at once
//	      ^                        │ some did not ──> these are listed and judged ────> the others are Healthy
//	      └── taken anew, once <───┤ counts and inventory differ
//	                               └ void: too slow, or they still differ ────────────> the round again, by ids
//
// In the mode Watch the probe of a Healthy node stays on it, and rounds are about the others (watch.go).
//
// What is kept in memory, the fleet of a policy, is only what probes found out since the start: losing it costs a round of
// probes and nothing else. What must not be lost, the attempts, is in the Remediations.
package remediationpolicy
