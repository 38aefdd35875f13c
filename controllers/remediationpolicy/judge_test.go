// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const testBinding = "probe/0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10/1/1790000000000000"

func verdict(binding, health, reason string) string {
	return fmt.Sprintf("ssm-remediator/v1 %s probed time=1790000000 health=%s reason=%s boot=- uptime=9 msg=words\n",
		binding, health, reason)
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		status     runcommand.Status
		code       int
		output     string
		unlisted   bool
		readErr    error
		wantHealth v1alpha1.Health
		wantReason string
	}{
		"healthy by the verdict": {
			status: runcommand.StatusSuccess, output: verdict(testBinding, "Healthy", "ProcessRunning"),
			wantHealth: v1alpha1.HealthHealthy, wantReason: process.ReasonProcessRunning,
		},
		"unhealthy by the verdict": {
			status: runcommand.StatusFailed, code: 1, output: verdict(testBinding, "Unhealthy", "ProcessNotRunning"),
			wantHealth: v1alpha1.HealthUnhealthy, wantReason: process.ReasonProcessNotRunning,
		},
		"a verdict of another command is none": {
			status: runcommand.StatusFailed, code: 1, output: verdict(testBinding+"0", "Unhealthy", "ProcessNotRunning"),
			wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNoVerdict,
		},
		"success without a verdict is not healthy": {
			status: runcommand.StatusSuccess, wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNoVerdict,
		},
		"an exit code without a verdict is not unhealthy": {
			status: runcommand.StatusFailed, code: 1, wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNoVerdict,
		},
		"a verdict with a status that says it did not run is none": {
			status: runcommand.StatusUndeliverable, code: -1, output: verdict(testBinding, "Unhealthy", "ProcessNotRunning"),
			wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNotDelivered,
		},
		"delivery timed out": {
			status: runcommand.StatusDeliveryTimedOut, code: -1, wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNotDelivered,
		},
		"another platform": {
			status: runcommand.StatusInvalidPlatform, code: -1, wantHealth: v1alpha1.HealthUnknown, wantReason: process.ReasonNotLinux,
		},
		"not run": {
			status: runcommand.StatusTerminated, code: -1, wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNotRun,
		},
		"still running at the deadline": {
			status: runcommand.StatusInProgress, code: -1, wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNoAnswer,
		},
		"nothing listed": {
			unlisted: true, wantHealth: v1alpha1.HealthUnknown, wantReason: ReasonNoAnswer,
		},
		"nothing could be read": {
			unlisted: true, readErr: errors.New("connection refused"),
			wantHealth: v1alpha1.HealthUnknown, wantReason: v1alpha1.ReasonAWSUnavailable,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := judge(runcommand.Invocation{
				Status: test.status, StatusText: string(test.status), ResponseCode: test.code, Output: test.output,
			}, !test.unlisted, testBinding, runcommand.Observation{Err: test.readErr, ReadTime: time.Unix(1790000003, 0)})
			g.Expect(o.Health).To(Equal(test.wantHealth))
			g.Expect(o.Reason).To(Equal(test.wantReason))
			g.Expect(o.Message).NotTo(BeEmpty())
		})
	}
}

func TestJudgeTellsWhatCannotBeLookedAt(t *testing.T) {
	for reason, want := range map[string]bool{
		process.ReasonUnitNotFound: true, process.ReasonMissingTool: true, process.ReasonCheckNotRunnable: true,
		process.ReasonNodeDiskFull: false, process.ReasonSystemdUnavailable: false,
	} {
		o := judge(runcommand.Invocation{Status: runcommand.StatusFailed, ResponseCode: 1, Output: verdict(testBinding, "Unknown", reason)},
			true, testBinding, runcommand.Observation{})
		NewWithT(t).Expect(o.Impossible).To(Equal(want), reason)
	}
}

func TestJudgeReadsTheClockOfTheNode(t *testing.T) {
	g := NewWithT(t)
	i := runcommand.Invocation{Status: runcommand.StatusSuccess, Output: verdict(testBinding, "Healthy", "ProcessRunning")}
	o := judge(i, true, testBinding, runcommand.Observation{ReadTime: time.Unix(1790000003, 0)})
	g.Expect(o.ClockOffset).To(Equal(-3 * time.Second))

	i.Output = "ssm-remediator/v1 " + testBinding + " probed time=- health=Healthy reason=CheckPassed boot=- uptime=- msg=\n"
	o = judge(i, true, testBinding, runcommand.Observation{ReadTime: time.Unix(1790000003, 0)})
	g.Expect(o.Health).To(Equal(v1alpha1.HealthHealthy))
	g.Expect(o.ClockOffset).To(BeZero())
}

func TestRemediationNames(t *testing.T) {
	g := NewWithT(t)
	at := runcommand.Location{Account: "123456789012", Region: "eu-central-1"}
	name := remediationName("web", "httpd", at, "i-0a1b2c3d4e5f67890", 1)
	g.Expect(name).To(MatchRegexp(`^httpd-[a-z2-7]{10}$`))
	others := []string{
		remediationName("web", "httpd", at, "i-0a1b2c3d4e5f67890", 2),
		remediationName("web", "httpd", at, "i-0a1b2c3d4e5f67891", 1),
		remediationName("db", "httpd", at, "i-0a1b2c3d4e5f67890", 1),
		remediationName("web", "httpd", runcommand.Location{Account: "123456789012", Region: "eu-west-1"}, "i-0a1b2c3d4e5f67890", 1),
	}
	g.Expect(others).NotTo(ContainElement(name))

	long := remediationName("web", "a-very-long-name-of-a-policy-that-fills-all-63-characters.abcdef", at, "i-0a1b2c3d4e5f67890", 1)
	g.Expect(len(long)).To(BeNumerically("<=", 63))
}
