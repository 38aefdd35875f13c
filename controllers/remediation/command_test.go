// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

func TestEndOfCommand(t *testing.T) {
	tests := map[string]struct {
		invocation runcommand.Invocation
		want       v1alpha1.Result
		wantExit   *int32
		wantText   string
	}{
		"what the node reports": {
			ended(runcommand.StatusSuccess, 0, whole), v1alpha1.ResultRecovered, new(int32(0)), "healthy after 1 s",
		},
		"a report counts whatever the status": {
			ended(runcommand.StatusExecutionTimedOut, 137, whole), v1alpha1.ResultRecovered, new(int32(0)), "healthy after 1 s",
		},
		"the node refused": {
			ended(runcommand.StatusFailed, 1, report(started, doneTooLate)), v1alpha1.ResultWithheld, nil, "9 s earlier",
		},
		"the agent ran the command twice": {
			ended(runcommand.StatusFailed, 1, report(started, doneBefore)), v1alpha1.ResultLost, nil, "ran once",
		},
		"ended by the agent while acting": {
			ended(runcommand.StatusExecutionTimedOut, 137, report(started, down, acting)),
			v1alpha1.ResultTimedOut, nil, "the agent ended the command",
		},
		"killed while acting": {
			ended(runcommand.StatusFailed, 143, report(started, down, acting)), v1alpha1.ResultFailed, nil, "(Failed, exit code 143)",
		},
		"ended before it is known to have acted": {
			ended(runcommand.StatusExecutionTimedOut, 137, report(started, down)), v1alpha1.ResultWithheld, nil, "before it acted",
		},
		"before it is known to have acted, and not by the agent's word": {
			ended(runcommand.StatusUndeliverable, -1, report(started, down)), v1alpha1.ResultLost, nil, "not known",
		},
		"success without a report": {
			ended(runcommand.StatusSuccess, 0, "hello"), v1alpha1.ResultLost, nil, "without a report",
		},
		"a report that is bound to another command": {
			ended(runcommand.StatusSuccess, 0, strings.ReplaceAll(whole, "0b5b", "0b5c")),
			v1alpha1.ResultLost, nil, "without a report",
		},
		"a report that contradicts itself": {
			ended(runcommand.StatusSuccess, 0, report(started, doneRecovered)), v1alpha1.ResultLost, nil, "without a report",
		},
		"the report of something else": {
			ended(runcommand.StatusSuccess, 0, report(started, down, doneCleared)), v1alpha1.ResultLost, nil, "something else",
		},
		"not delivered in time": {
			ended(runcommand.StatusDeliveryTimedOut, -1, ""), v1alpha1.ResultNotDelivered, nil, "did not take",
		},
		"undeliverable does not prove that nothing ran": {
			ended(runcommand.StatusUndeliverable, -1, ""), v1alpha1.ResultLost, nil, "(Undeliverable, exit code -1)",
		},
		"cancelled by somebody": {
			ended(runcommand.StatusCancelled, 137, ""), v1alpha1.ResultLost, nil, "(Cancelled, exit code 137)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := endOfCommand(test.invocation, testBinding)
			g.Expect(got.status).To(Equal(test.invocation.Status))
			g.Expect(got.exitCode).To(Equal(test.wantExit))
			g.Expect(got.outcome.result).To(Equal(test.want))
			g.Expect(got.outcome.message).To(ContainSubstring(test.wantText))
		})
	}
}

func TestEvidenceAndOutputOfCommand(t *testing.T) {
	g := NewWithT(t)
	got := endOfCommand(ended(runcommand.StatusSuccess, 0,
		report(started, evidence, down, acting, acted, after, doneRecovered)+"| restarted\n1| inactive\n2| hangs\n"), testBinding)
	g.Expect(got.output).To(Equal("restarted"))
	g.Expect(got.evidence).To(Equal([]v1alpha1.Evidence{{ExitCode: new(int32(3)), Output: "inactive"}, {Output: "hangs"}}))
}
