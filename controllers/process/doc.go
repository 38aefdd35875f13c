// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process is what runs on the node: the scripts that look at a process and that recover it, and the reader of what
// they say.
//
//	probe:     examine ─▶ verdict line ─▶ sweep up directories of earlier probes
//
//	watch:     examine ─▶ healthy, and nobody else watches the node? ─▶ sweep ─▶ examine again and again, for as long as it is
//	           healthy and the time is not over ─▶ verdict line; otherwise as a probe
//
//	recovery:  started ─▶ not run before? ─▶ in time? ─▶ lock ─▶ examine ─▶ evidence, and examine again when that took long
//	           ─▶ probed ─▶ in time? ─▶ marker ─┬─▶ command:  acting ─▶ it runs ─▶ acted ─▶ look until healthy (verified) ─▶ done
//	                                            ├─▶ reboot:   acting ─▶ it is ordered ─▶ done Rebooting, the lock is kept
//	                                            └─▶ document: done Cleared, the lock is kept: the document may be sent
//	           ─▶ output of the step ─▶ output of the evidence
//
//	verify:    after a document or a reboot: as a probe; when healthy, the lock that was kept for a document is given back
//
//	examine:   Linux, tools ─▶ no container ─▶ no hold file ─▶ disk not full ─▶ the process
//
// A script is one message in one direction, and what it prints is the only answer: exit codes are changed and lost on the
// way (137, 168 and 194 have meanings of their own to the SSM agent), so the scripts use 0 and 1 only, and everything else
// is in lines of the form
//
//	ssm-remediator/v1 <binding> <kind> time=<unix> key=value ... msg=<rest of the line>
//
// The binding ties a line to the command that was sent. A line that is not bound to it, is cut off, or says what cannot be
// is no answer, and never becomes a guess. What users' commands print is captured, and printed only after all lines of
// ours, each line with a prefix.
//
// The scripts are plain POSIX sh for dash, busybox and bash, under scripts/, so that they can be linted and run as they
// are. Nothing is inserted into them: parameters are assigned, in single quotes, in front of them.
package process
