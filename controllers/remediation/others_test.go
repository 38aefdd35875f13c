// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// TestTakeOverTime is about attempts that were opened at noon, and whose last word in the record is from noon too.
func TestTakeOverTime(t *testing.T) {
	const running = runcommand.StatusInProgress
	for name, test := range map[string]struct {
		step     v1alpha1.RecoveryStep
		commands []v1alpha1.CommandStatus
		want     time.Duration
	}{
		"nothing was sent":         {commandStep, nil, 4 * time.Minute},
		"the document is to come":  {documentStep, []v1alpha1.CommandStatus{over(checkPurpose, running)}, 4 * time.Minute},
		"the document was sent":    {documentStep, []v1alpha1.CommandStatus{over(checkPurpose, running), intended(runPurpose)}, 5*time.Minute + 30*time.Second},
		"the document is verified": {documentStep, []v1alpha1.CommandStatus{over(checkPurpose, running), over(runPurpose, running)}, 30*time.Second + 2*58*time.Second},
		"the reboot is verified":   {rebootStep, []v1alpha1.CommandStatus{over(runPurpose, running)}, 600*time.Second + 2*58*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(takeOverTime(attempt(test.step, test.commands...)).Sub(noon)).To(Equal(test.want))
		})
	}
	g := NewWithT(t)
	for _, command := range []v1alpha1.CommandStatus{intended(runPurpose), sent(runPurpose, running)} {
		r := attempt(commandStep, command)
		g.Expect(takeOverTime(r)).To(Equal(horizon(r, runPurpose)))
		g.Expect(takeOverTime(r)).To(BeTemporally("<", deadline(r, &command)), "there is time left to read what has become of it")
		_, end := searchEnd(r, runPurpose)
		g.Expect(takeOverTime(r)).To(BeTemporally("<", end), "and to search for it")
	}
}
