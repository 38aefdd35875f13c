// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runcommand is AWS Systems Manager Run Command in our words. No type of the AWS SDK leaves it.
//
//	remediationpolicy ──┐                 ┌── Tracker: reads what became of all commands in flight, in the background,
//	                    ├── Regions ── Region                      and tells whoever waits for one of them
//	remediation ────────┘  (one for each  └── Service: send, find, read, inventory
//	                     account+region)        └── ssmService ── API (the SDK's own signatures)
//
// Sending is the caller's business, because it is an effect; reading is the Tracker's, because it is shared and must not
// hold up a reconcile. Errors are told apart in one file, errors.go, by what the caller has to do about them.
package runcommand
