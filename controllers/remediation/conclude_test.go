// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const testBinding = "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10/Run"

// report is what the node prints, one of its lines an argument.
func report(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("ssm-remediator/v1 " + testBinding + " " + line + "\n")
	}
	return b.String()
}

const (
	started  = "started time=1790000000 msg="
	probed   = "probed time=1790000000 health=Unhealthy reason=ProcessNotRunning boot=- uptime=9 msg=no process apache2"
	acting   = "acting time=1790000000 msg="
	acted    = "acted time=1790000001 exit=0 msg="
	verified = "verified time=1790000002 health=Healthy reason=ProcessRunning boot=- uptime=11 msg=apache2 runs"
	done     = "done time=1790000002 result=Recovered reason=ProcessRunning exit=0 msg=the step exited 0; healthy after 1 s"
)

func TestConclusion(t *testing.T) {
	tests := map[string]struct {
		status   runcommand.Status
		code     int
		output   string
		want     v1alpha1.Result
		wantExit *int32
		wantText string
	}{
		"what the node reports": {
			status: runcommand.StatusSuccess, output: report(started, probed, acting, acted, verified, done),
			want: v1alpha1.ResultRecovered, wantExit: ptr.To[int32](0), wantText: "healthy after 1 s",
		},
		"a report counts whatever the status": {
			status: runcommand.StatusExecutionTimedOut, code: 137, output: report(started, probed, acting, acted, verified, done),
			want: v1alpha1.ResultRecovered, wantExit: ptr.To[int32](0), wantText: "healthy after 1 s",
		},
		"the node refused": {
			status: runcommand.StatusFailed, code: 1,
			output: report(started, "done time=1790000000 result=Withheld reason=TooLate exit=- msg=it had to begin 9 s earlier"),
			want:   v1alpha1.ResultWithheld, wantText: "9 s earlier",
		},
		"the agent ran the command twice": {
			status: runcommand.StatusFailed, code: 1,
			output: report(started, "done time=1790000000 result=Withheld reason=AlreadyRan exit=- msg=it has run before"),
			want:   v1alpha1.ResultLost, wantText: "ran once",
		},
		"ended by the agent while acting": {
			status: runcommand.StatusExecutionTimedOut, code: 137, output: report(started, probed, acting),
			want: v1alpha1.ResultTimedOut, wantText: "the agent ended the command",
		},
		"killed while acting": {
			status: runcommand.StatusFailed, code: 143, output: report(started, probed, acting),
			want: v1alpha1.ResultFailed, wantText: "(Failed, exit code 143)",
		},
		"ended before it is known to have acted": {
			status: runcommand.StatusExecutionTimedOut, code: 137, output: report(started, probed),
			want: v1alpha1.ResultWithheld, wantText: "before it acted",
		},
		"before it is known to have acted, and not by the agent's word": {
			status: runcommand.StatusUndeliverable, code: -1, output: report(started, probed),
			want: v1alpha1.ResultLost, wantText: "not known",
		},
		"success without a report": {
			status: runcommand.StatusSuccess, output: "hello", want: v1alpha1.ResultLost, wantText: "without a report",
		},
		"a report that is bound to another command": {
			status: runcommand.StatusSuccess, output: strings.ReplaceAll(report(started, done), "0b5b", "0b5c"),
			want: v1alpha1.ResultLost, wantText: "without a report",
		},
		"not delivered in time": {
			status: runcommand.StatusDeliveryTimedOut, code: -1, want: v1alpha1.ResultNotDelivered, wantText: "did not take",
		},
		"undeliverable does not prove that nothing ran": {
			status: runcommand.StatusUndeliverable, code: -1, want: v1alpha1.ResultLost, wantText: "(Undeliverable, exit code -1)",
		},
		"cancelled by somebody": {
			status: runcommand.StatusCancelled, code: 137, want: v1alpha1.ResultLost, wantText: "(Cancelled, exit code 137)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := conclusion(runcommand.Invocation{
				Status: test.status, StatusText: string(test.status), ResponseCode: test.code, Output: test.output,
			}, testBinding)
			g.Expect(o.result).To(Equal(test.want))
			g.Expect(o.exitCode).To(Equal(test.wantExit))
			g.Expect(o.message).To(ContainSubstring(test.wantText))
		})
	}
}
