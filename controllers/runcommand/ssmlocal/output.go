// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import "strings"

const (
	// stdoutLimit and stderrLimit are what GetCommandInvocation has of each stream, in bytes, with the marker.
	stdoutLimit = 24000
	stderrLimit = 8000
	// mergedLimit is what ListCommandInvocations has of both, in bytes, with the markers.
	mergedLimit = 2500

	cutMarker       = "--output truncated--"
	stderrTitle     = "\n----------ERROR-------\n"
	outputCutMarker = "\n---Output truncated---"
	errorCutMarker  = "\n---Error truncated----"
)

// cut keeps the beginning of a stream.
func cut(text string, limit int) string {
	if len(text) <= limit {
		// A copy, so that a short text does not hold on to the buffer it was read into.
		return strings.Clone(text)
	}
	return valid(text[:limit-len(cutMarker)]) + cutMarker
}

// merged is the Output of a plugin: stdout, a title and stderr. When both are too long they share the room evenly,
// otherwise the short one is kept whole.
func merged(stdout, stderr string) string {
	title := ""
	if stderr != "" {
		title = stderrTitle
	}
	room := mergedLimit - len(title)
	half := room / 2
	switch {
	case len(stdout)+len(stderr) < room:
		return stdout + title + stderr
	case len(stdout) < half:
		return stdout + title + valid(stderr[:room-len(stdout)-len(errorCutMarker)]) + errorCutMarker
	case len(stderr) < half:
		return valid(stdout[:room-len(stderr)-len(outputCutMarker)]) + outputCutMarker + title + stderr
	default:
		return valid(stdout[:half-len(outputCutMarker)]) + outputCutMarker + title +
			valid(stderr[:half-len(errorCutMarker)]) + errorCutMarker
	}
}

// valid replaces a character that a cut went through.
func valid(text string) string {
	return strings.ToValidUTF8(text, "\uFFFD")
}
