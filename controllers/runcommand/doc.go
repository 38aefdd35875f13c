// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runcommand is AWS Systems Manager Run Command in our words. No type of the AWS SDK leaves it.
//
//	remediationpolicy ──┐                 ┌── Tracker: reads what became of all commands in flight, in the background,
//	                    ├── Regions ── Region                      and tells whoever waits for one of them
//	remediation ────────┘  (one for each  └── Service: send, find, read, inventory
//	                     account+region)        └── ssmService ── pacedAPI ── API (the SDK's own signatures)
//	                                                                └── Budget: who may call next, and when
//
// Sending is the caller's business, because it is an effect; reading is the Tracker's, because it is shared and must not
// hold up a reconcile. Every call waits for the Budget of its Region, and each page and each try is one: recoveries go first,
// and nobody starves. While AWS throttles, fewer calls are made. Errors are told apart in one file, errors.go, by what the caller
// has to do about them.
package runcommand
