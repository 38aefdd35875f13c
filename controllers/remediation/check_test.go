// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// cleared and orderedReboot stand for an end that is no result: the next command is due.
const (
	cleared       v1alpha1.Result = "cleared"
	orderedReboot v1alpha1.Result = "ordered"
)

func TestEndOfCheck(t *testing.T) {
	tests := map[string]struct {
		invocation runcommand.Invocation
		want       v1alpha1.Result
		wantText   string
	}{
		"still down": {ended(runcommand.StatusSuccess, 0, report(started, down, doneCleared)), cleared, ""},
		"still down, whatever the status": {
			ended(runcommand.StatusExecutionTimedOut, 137, report(started, down, doneCleared)), cleared, "",
		},
		"healthy again": {
			ended(runcommand.StatusSuccess, 0, report(started, healthy, doneNotNeeded)), v1alpha1.ResultNotNeeded, "healthy again",
		},
		"the node refused": {
			ended(runcommand.StatusFailed, 1, report(started, doneTooLate)), v1alpha1.ResultWithheld, "9 s earlier",
		},
		"checked before": {
			ended(runcommand.StatusFailed, 1, report(started, doneBefore)), v1alpha1.ResultLost, "has run on the node before",
		},
		"ended before its word": {
			ended(runcommand.StatusExecutionTimedOut, 137, report(started, down)), v1alpha1.ResultWithdrawn, "(ExecutionTimedOut, exit code 137)",
		},
		"the report of something else": {
			ended(runcommand.StatusSuccess, 0, whole), v1alpha1.ResultWithdrawn, "the document was not sent",
		},
		"no report": {
			ended(runcommand.StatusSuccess, 0, "hello"), v1alpha1.ResultWithdrawn, "without the node's word",
		},
		"undeliverable": {
			ended(runcommand.StatusUndeliverable, -1, ""), v1alpha1.ResultWithdrawn, "(Undeliverable, exit code -1)",
		},
		"not delivered in time": {
			ended(runcommand.StatusDeliveryTimedOut, -1, ""), v1alpha1.ResultNotDelivered, "did not take",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := endOfCheck(test.invocation, testBinding)
			if test.want == cleared {
				g.Expect(got.outcome).To(BeNil())
				g.Expect(got.bootID).To(Equal(oldBoot))
				g.Expect(got.nodeTime).To(BeTemporally("==", time.Unix(1790000000, 0)))
				return
			}
			g.Expect(got.outcome).NotTo(BeNil())
			g.Expect(got.outcome.result).To(Equal(test.want))
			g.Expect(got.outcome.message).To(ContainSubstring(test.wantText))
		})
	}
}

func TestProbeTime(t *testing.T) {
	intent := time.Unix(1_790_000_000, 0)
	now := intent.Add(time.Minute)
	at := func(seconds int) time.Time { return intent.Add(time.Duration(seconds) * time.Second) }
	for name, test := range map[string]struct {
		nodeTime    time.Time
		clockOffset int64
		want        time.Time
	}{
		"by the node's word":            {at(50), 0, at(50)},
		"its clock is ahead":            {at(3650), 3600, at(50)},
		"its clock is behind":           {at(-3550), -3600, at(50)},
		"it cannot tell":                {time.Time{}, 0, intent},
		"before it was asked":           {at(-1), 0, intent},
		"its clock was set forward":     {at(3600), 0, now},
		"what it says is years too old": {time.Unix(1, 0), 0, intent},
	} {
		t.Run(name, func(t *testing.T) {
			r := &v1alpha1.Remediation{}
			r.Spec.Detection.ClockOffsetSeconds = test.clockOffset
			check := &v1alpha1.CommandStatus{IntentTime: metav1.NewMicroTime(intent)}
			NewWithT(t).Expect(probeTime(r, check, test.nodeTime, now)).To(BeTemporally("==", test.want))
		})
	}
}

func TestEvidenceOfCheck(t *testing.T) {
	got := endOfCheck(ended(runcommand.StatusSuccess, 0,
		report(started, evidence, down, doneCleared)+"1| inactive\n"), testBinding)
	NewWithT(t).Expect(got.evidence).To(Equal([]v1alpha1.Evidence{{ExitCode: new(int32(3)), Output: "inactive"}, {}}))
}
