// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stage lets the controllers play, one moment after the other, without anything that takes time: an API server, which
// may be a real one, the local Systems Manager without a network, simulated nodes, and a clock that stands still unless it is
// set to the next moment at which something is due.
//
//	clock ──> due: passes that were asked for, news, reading what is in flight ──> until nothing is due
//	  ^                                                                                │
//	  └──────────────── the next moment at which something is due <────────────────────┘
//
// It is for tests that care about what becomes of one policy or of one Remediation, whatever is in them. It finds out by itself
// when controllers do not come to rest: passes at one moment that never end, and passes again and again that do nothing.
package stage
