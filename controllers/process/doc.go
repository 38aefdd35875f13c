// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process is what runs on the node: the scripts that look at a process and that recover it, and the reader of what
// they say.
//
//	probe:     examine ─▶ verdict line ─▶ sweep up directories of earlier probes
//
//	recovery:  started ─▶ in time? ─▶ lock ─▶ not run before? ─▶ examine (probed) ─▶ in time? ─▶ marker ─▶ acting
//	           ─▶ the step ─▶ acted ─▶ look until healthy (verified) ─▶ done ─▶ output of the step
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
