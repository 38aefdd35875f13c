// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package remediation reconciles Remediations: it carries one attempt out, once.
//
//	intend     the intent to send is recorded, under the resource version of what was read
//	dispatch   in the same pass, after a last look at the policy: send
//	           accepted ──> its command id is recorded
//	           refused  ──> there is no command: the intent is taken back, or the attempt ends
//	           unclear  ──> nothing: the next pass looks for it
//	follow     the command is read in the background; one without an id is searched for by its comment first
//	conclude   the node's own report becomes the result
//
// A send follows only the write of an intent, in the pass that wrote it. Whoever finds an intent without a command id,
// after a crash or a pause, searches and never sends. A search that finds nothing proves nothing until the horizon: the time
// after which no node acts on the command any more, whenever it may be delivered. Then the result is Lost.
package remediation
