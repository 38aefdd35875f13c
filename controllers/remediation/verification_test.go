// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// answer is a look that was begun so many seconds after noon and found something, silence one without an answer.
func answer(begun int, health v1alpha1.Health, boot string) *look {
	return &look{
		begun: noon.Add(time.Duration(begun) * time.Second), over: true,
		verdict: &process.Verdict{Health: health, BootID: boot, Uptime: time.Hour, Message: "as found"},
	}
}

func silence(begun int) *look {
	return &look{begun: noon.Add(time.Duration(begun) * time.Second), over: true, silence: "the node did not answer"}
}

// TestVerified looks after a step that has ended at noon: a document has 30 s to be healthy, a reboot 600, and a look that is
// not answered takes 58 s.
func TestVerified(t *testing.T) {
	const up, down, held = v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthHeld
	tests := map[string]struct {
		step v1alpha1.RecoveryStep
		run  runcommand.Status
		last *look
		now  int
		// want is empty when another look may tell more.
		want     v1alpha1.Result
		wantText string
	}{
		"not looked yet":      {documentStep, runcommand.StatusSuccess, nil, 0, "", ""},
		"looking":             {documentStep, runcommand.StatusSuccess, &look{begun: noon}, 50, "", ""},
		"down, and early":     {documentStep, runcommand.StatusSuccess, answer(20, down, oldBoot), 25, "", ""},
		"down, and read late": {documentStep, runcommand.StatusSuccess, answer(20, down, oldBoot), 500, "", ""},
		"silent, and early":   {documentStep, runcommand.StatusSuccess, silence(20), 80, "", ""},
		"silent at the end":   {documentStep, runcommand.StatusSuccess, silence(30), 87, "", ""},

		"healthy": {
			documentStep, runcommand.StatusSuccess, answer(0, up, oldBoot), 1,
			v1alpha1.ResultRecovered, "the document ended well; healthy after 1 s",
		},
		"healthy after a failure": {
			documentStep, runcommand.StatusFailed, answer(10, up, oldBoot), 12,
			v1alpha1.ResultRecovered, "the document failed with exit code 3; healthy after 12 s",
		},
		"healthy after a time-out": {
			documentStep, runcommand.StatusCancelled, answer(10, up, oldBoot), 12,
			v1alpha1.ResultRecovered, "the document was cancelled; it had 1m0s (timeoutSeconds); healthy",
		},
		"healthy after nobody knows what": {
			documentStep, runcommand.StatusUndeliverable, answer(10, up, oldBoot), 12,
			v1alpha1.ResultRecovered, "whether the document ran is not known (Undeliverable); healthy",
		},
		"down at the end": {
			documentStep, runcommand.StatusSuccess, answer(30, down, oldBoot), 32,
			v1alpha1.ResultIneffective, "the document ended well; still not healthy after 32 s: as found",
		},
		"held at the end": {
			documentStep, runcommand.StatusSuccess, answer(30, held, oldBoot), 32, v1alpha1.ResultIneffective, "still not healthy",
		},
		"silent for long": {
			documentStep, runcommand.StatusSuccess, silence(30), 88, v1alpha1.ResultIneffective, "the node did not answer",
		},
		"failed": {
			documentStep, runcommand.StatusFailed, answer(30, down, oldBoot), 32,
			v1alpha1.ResultFailed, "the document failed with exit code 3; still",
		},
		"ended by itself at a time-out": {
			documentStep, runcommand.StatusExecutionTimedOut, answer(30, down, oldBoot), 32,
			v1alpha1.ResultTimedOut, "its own time-out; still",
		},
		"cancelled": {
			documentStep, runcommand.StatusCancelled, answer(30, down, oldBoot), 32, v1alpha1.ResultTimedOut, "was cancelled",
		},
		"running on": {
			documentStep, runcommand.StatusCancelling, answer(30, down, oldBoot), 32,
			v1alpha1.ResultTimedOut, "did not end (Cancelling)",
		},
		"never seen to begin": {
			documentStep, runcommand.StatusPending, answer(30, down, oldBoot), 32,
			v1alpha1.ResultLost, "whether the document ran is not known (Pending)",
		},
		"ended in a way that proves nothing": {
			documentStep, runcommand.StatusTerminated, answer(30, down, oldBoot), 32, v1alpha1.ResultLost, "not known (Terminated)",
		},

		"rebooted and healthy": {
			rebootStep, runcommand.StatusSuccess, answer(90, up, newBoot), 91,
			v1alpha1.ResultRecovered, "the node was rebooted; healthy after 91 s",
		},
		"rebooted, and still down":      {rebootStep, runcommand.StatusSuccess, answer(90, down, newBoot), 91, "", ""},
		"healthy, and not yet rebooted": {rebootStep, runcommand.StatusSuccess, answer(20, up, oldBoot), 21, "", ""},
		"away":                          {rebootStep, runcommand.StatusSuccess, silence(90), 120, "", ""},
		"rebooted and healthy after a doubtful order": {
			rebootStep, runcommand.StatusUndeliverable, answer(90, up, newBoot), 91, v1alpha1.ResultRecovered, "was rebooted",
		},
		"rebooted, and down at the end": {
			rebootStep, runcommand.StatusSuccess, answer(600, down, newBoot), 601,
			v1alpha1.ResultIneffective, "the node was rebooted; still not healthy after 601 s: as found",
		},
		"healthy without a reboot": {
			rebootStep, runcommand.StatusSuccess, answer(600, up, oldBoot), 601,
			v1alpha1.ResultIneffective, "the node did not reboot within 601 s",
		},
		"down without a reboot": {
			rebootStep, runcommand.StatusFailed, answer(600, down, oldBoot), 601, v1alpha1.ResultIneffective, "did not reboot",
		},
		"not back": {
			rebootStep, runcommand.StatusSuccess, silence(600), 658, v1alpha1.ResultTimedOut, "the node did not come back within 658 s",
		},
		"down without a reboot that was perhaps never ordered": {
			rebootStep, runcommand.StatusUndeliverable, answer(600, down, oldBoot), 601,
			v1alpha1.ResultLost, "whether the reboot was ordered is not known (Undeliverable)",
		},
		"silent after a doubtful order": {
			rebootStep, runcommand.StatusInProgress, silence(600), 658, v1alpha1.ResultLost, "not known (InProgress)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			run := over(runPurpose, test.run)
			run.BootID = oldBoot
			r := attempt(test.step, run)
			if test.run == runcommand.StatusFailed {
				r.Status.ExitCode = new(int32(3))
			}
			got := verified(r, test.last, noon.Add(time.Duration(test.now)*time.Second))
			if test.want == "" {
				g.Expect(got).To(BeNil())
				return
			}
			g.Expect(got).NotTo(BeNil())
			g.Expect(got.result).To(Equal(test.want))
			g.Expect(got.message).To(ContainSubstring(test.wantText))
		})
	}
}

func TestLookDue(t *testing.T) {
	short := documentStep
	short.VerifySeconds = new(int32(5))
	once := documentStep
	once.VerifySeconds = new(int32(0))
	tests := map[string]struct {
		step v1alpha1.RecoveryStep
		last *look
		want int
	}{
		"at once":                            {documentStep, nil, 0},
		"every ten seconds":                  {documentStep, silence(3), 13},
		"at the end":                         {documentStep, silence(25), 30},
		"at the end, exactly":                {documentStep, silence(20), 30},
		"after the end, without an answer":   {documentStep, silence(30), 40},
		"at the end of a short time":         {short, silence(0), 5},
		"at once when that is the end":       {once, nil, 0},
		"when the controller was away":       {documentStep, silence(-300), -290},
		"not while the node is going down":   {rebootStep, nil, 20},
		"every ten seconds after a reboot":   {rebootStep, silence(20), 30},
		"at the end of the time of a reboot": {rebootStep, silence(595), 600},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := lookDue(attempt(test.step, over(runPurpose, runcommand.StatusSuccess)), test.last)
			NewWithT(t).Expect(got).To(Equal(noon.Add(time.Duration(test.want) * time.Second)))
		})
	}
}
