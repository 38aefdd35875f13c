// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

func TestEndOfReboot(t *testing.T) {
	tests := map[string]struct {
		invocation runcommand.Invocation
		want       v1alpha1.Result
		wantBoot   string
	}{
		"ordered": {ended(runcommand.StatusSuccess, 0, report(started, down, acting, doneRebooting)), orderedReboot, oldBoot},
		"the reboot took the script with it": {
			ended(runcommand.StatusFailed, -1, report(started, down, acting)), orderedReboot, oldBoot,
		},
		"the agent ran it again": {ended(runcommand.StatusFailed, 1, report(started, doneBefore)), orderedReboot, ""},
		"no answer":              {ended(runcommand.StatusExecutionTimedOut, 137, ""), orderedReboot, ""},
		"undeliverable does not prove that nothing ran": {
			ended(runcommand.StatusUndeliverable, -1, ""), orderedReboot, "",
		},
		"healthy again": {
			ended(runcommand.StatusSuccess, 0, report(started, healthy, doneNotNeeded)), v1alpha1.ResultNotNeeded, oldBoot,
		},
		"the node refused": {ended(runcommand.StatusFailed, 1, report(started, doneTooLate)), v1alpha1.ResultWithheld, ""},
		"ended before it acted": {
			ended(runcommand.StatusExecutionTimedOut, 137, report(started, down)), v1alpha1.ResultWithheld, oldBoot,
		},
		"not delivered in time": {ended(runcommand.StatusDeliveryTimedOut, -1, ""), v1alpha1.ResultNotDelivered, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := endOfReboot(test.invocation, testBinding)
			g.Expect(got.bootID).To(Equal(test.wantBoot))
			if test.want == orderedReboot {
				g.Expect(got.outcome).To(BeNil())
				return
			}
			g.Expect(got.outcome).NotTo(BeNil())
			g.Expect(got.outcome.result).To(Equal(test.want))
		})
	}
}

func TestRebooted(t *testing.T) {
	begun := noon.Add(90 * time.Second)
	tests := map[string]struct {
		before string
		then   process.Verdict
		want   bool
	}{
		"another boot":                            {oldBoot, process.Verdict{BootID: newBoot, Uptime: time.Hour}, true},
		"the same boot":                           {oldBoot, process.Verdict{BootID: oldBoot, Uptime: time.Second}, false},
		"the boot before is not known, up since":  {"", process.Verdict{BootID: newBoot, Uptime: 89 * time.Second}, true},
		"the boot before is not known, up longer": {"", process.Verdict{BootID: newBoot, Uptime: 90 * time.Second}, false},
		"this boot is not known, up since":        {oldBoot, process.Verdict{Uptime: 20 * time.Second}, true},
		"this boot is not known, up longer":       {oldBoot, process.Verdict{Uptime: time.Hour}, false},
		"nothing is known":                        {"", process.Verdict{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.CommandStatus{IntentTime: metav1.NewMicroTime(noon), BootID: test.before}
			NewWithT(t).Expect(rebooted(run, &test.then, begun)).To(Equal(test.want))
		})
	}
}
