// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package remediation reconciles Remediations: it carries one attempt out, once.
//
// An attempt is a row of SSM commands, each for a purpose. Status has one entry for each purpose, and the first one whose end
// is not recorded is the one that is due:
//
//	command    Run: one script that looks, acts and verifies
//	reboot     Run: a script that looks and orders the reboot ──> Verify: probes, until the process is healthy in a new boot
//	document   Check: a script that looks, and keeps the node ──> Run: the document ──> Verify: probes, until it is healthy
//
// In one pass:
//
//	follow     the command in flight is read in the background; one without an id is searched for by its comment first.
//	           Its end is a result, or lets the next command go
//	intend     as soon as the AWS budget allows the call, the intent to send the next one is recorded, under the resource version
//	           of what was read
//	dispatch   in the same pass, after a last look at the policy: send
//	           accepted ──> its command id is recorded
//	           refused  ──> there is no command: the intent is taken back, or the attempt ends
//	           unclear  ──> nothing: the next pass looks for it
//	verify     the probes after a document or a reboot, as many as it takes
//	conclude   the result is recorded
//
// A send follows only the write of an intent, in the pass that wrote it. Whoever finds an intent without a command id,
// after a crash or a pause, searches and never sends. A search that finds nothing proves nothing until the horizon: the time
// after which no node acts on the command any more, whenever it may be delivered. Then the result is Lost, unless the command
// was only a check. Probes are the exception: one too many does no harm, so they are sent and then recorded, and one without
// an answer is followed by another.
//
// Until Run is sent the policy may change its mind. From then on the attempt goes on to its end whatever becomes of the
// policy or of the Remediation, so that what was done to the node is on record.
//
// A document is not compare-and-act: it is fenced only by the intent and by notAfter, which bounds its send. Between the
// check's look and the document's beginning lie the reading of the check, two writes, the send and at most 30 seconds of
// delivery; a process that comes back within that time is acted upon. An agent that restarts while the document runs may begin
// it anew, as it does with any document. The node's lock keeps other recoveries out meanwhile.
package remediation
