// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
)

// maxOutputBytes is what status.output of a Remediation holds.
const maxOutputBytes = 2048

// outputPrefix is in front of every line of the step's output, and after the number of a command in front of every line of
// the evidence.
const outputPrefix = "| "

// printed are the lines that users' commands have printed. They come after all lines of the script's own.
type printed struct {
	step     []string
	evidence [maxEvidence][]string
}

// add takes up a line, if it is one.
func (p *printed) add(text string) {
	if line, ok := strings.CutPrefix(text, outputPrefix); ok {
		p.step = append(p.step, line)
		return
	}
	for i := range p.evidence {
		if line, ok := strings.CutPrefix(text, fmt.Sprintf("%d%s", i+1, outputPrefix)); ok {
			p.evidence[i] = append(p.evidence[i], line)
			return
		}
	}
}

// fillIn gives the report what was printed. Of a script that was ended early nobody knows what its evidence printed.
func (p *printed) fillIn(r *Report) {
	r.Output = joined(p.step, maxOutputBytes)
	for i := range r.Evidence {
		r.Evidence[i].Output = joined(p.evidence[i], maxEvidenceBytes)
	}
	if !r.reached(PhaseDone) {
		r.Evidence = nil
	}
}

func joined(lines []string, limit int) string {
	return Printable(strings.Join(lines, "\n"), limit, "\n\t")
}
