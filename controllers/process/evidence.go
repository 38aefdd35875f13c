// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strconv"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	// maxEvidence is how many commands the API allows. Their output (2.5 characters a byte at worst, with the prefixes), that
	// of the step (3) and all lines of ours stay within the 24,000 characters that AWS keeps.
	maxEvidence = 4
	// maxEvidenceBytes is what status.evidence of a Remediation holds of each.
	maxEvidenceBytes = 1024
	// evidenceTimeout is how long a command of the evidence may run, because the process is down meanwhile: enough for
	// systemctl and journalctl on a node that swaps.
	evidenceTimeout = 10 * time.Second
)

// addEvidence adds the commands, and the file that runs them. The first is always set: empty means that there are none.
func (r Recovery) addEvidence(s *script) error {
	if len(r.Evidence) > maxEvidence {
		return fmt.Errorf("reading the evidence: %d commands are more than %d", len(r.Evidence), maxEvidence)
	}
	for _, command := range r.Evidence {
		if err := checkCommand(command); err != nil {
			return fmt.Errorf("reading the evidence: %w", err)
		}
	}
	if len(r.Evidence) == 0 {
		s.set("SR_EVIDENCE_1", "")
		return nil
	}
	var commands [maxEvidence]v1alpha1.ShellCommand
	copy(commands[:], r.Evidence)
	for i, command := range commands {
		s.set(fmt.Sprintf("SR_EVIDENCE_%d", i+1), string(command))
	}
	s.setSeconds("SR_EVIDENCE_TIMEOUT", evidenceTimeout)
	last := r.NotAfter.Add(-evidenceTimeout - endGrace - r.bound())
	s.set("SR_EVIDENCE_BEFORE", strconv.FormatInt(last.Unix(), 10))
	s.add("evidence.sh")
	return nil
}

// evidenceBound is the longest that gathering the evidence takes, with the look that is taken after it.
func (r Recovery) evidenceBound() time.Duration {
	if len(r.Evidence) == 0 {
		return 0
	}
	return time.Duration(len(r.Evidence))*(evidenceTimeout+endGrace) + r.bound()
}

// evidence reads the line that tells how the commands ended: exit1=, exit2=, ... Their output comes later.
func (l line) evidence() ([]v1alpha1.Evidence, error) {
	var evidence []v1alpha1.Evidence
	for i := range maxEvidence {
		key := fmt.Sprintf("exit%d", i+1)
		if _, ok := l.values[key]; !ok {
			break
		}
		code, err := l.exitCode(key)
		if err != nil {
			return nil, err
		}
		evidence = append(evidence, v1alpha1.Evidence{ExitCode: code})
	}
	// Besides them there is the time.
	if len(evidence) == 0 || len(l.values) != len(evidence)+1 {
		return nil, fmt.Errorf("reading the %s line: it does not number from 1 to at most %d", l.kind, maxEvidence)
	}
	return evidence, nil
}
