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

const (
	checkPurpose  = v1alpha1.CommandPurposeCheck
	runPurpose    = v1alpha1.CommandPurposeRun
	verifyPurpose = v1alpha1.CommandPurposeVerify
)

var (
	noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

	commandStep  = v1alpha1.RecoveryStep{Command: "systemctl start httpd", TimeoutSeconds: new(int32(60)), VerifySeconds: new(int32(30))}
	rebootStep   = v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}, VerifySeconds: new(int32(600))}
	documentStep = v1alpha1.RecoveryStep{
		Document:       &v1alpha1.DocumentStep{Name: "restart-web"},
		TimeoutSeconds: new(int32(60)), VerifySeconds: new(int32(30)),
	}
)

// attempt is a Remediation of a step that was opened at noon.
func attempt(step v1alpha1.RecoveryStep, commands ...v1alpha1.CommandStatus) *v1alpha1.Remediation {
	return &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "httpd-1", UID: "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10"},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{Name: "httpd"}, InstanceID: "i-00000000000000001",
			Process: v1alpha1.ProcessSpec{Name: "httpd"}, CheckTimeoutSeconds: 10, Step: step,
			OpenTime: metav1.NewMicroTime(noon), NotAfter: metav1.NewMicroTime(noon.Add(2 * time.Minute)),
		},
		Status: v1alpha1.RemediationStatus{Commands: commands},
	}
}

// intended is a command that was recorded at noon, sent is one that AWS has accepted, and over one that has ended as well.
func intended(purpose v1alpha1.CommandPurpose) v1alpha1.CommandStatus {
	return v1alpha1.CommandStatus{Purpose: purpose, IntentTime: metav1.NewMicroTime(noon)}
}

func sent(purpose v1alpha1.CommandPurpose, status runcommand.Status) v1alpha1.CommandStatus {
	command := intended(purpose)
	command.CommandID, command.Status, command.SendTime = "c-"+string(purpose), string(status), new(metav1.NewMicroTime(noon))
	return command
}

func over(purpose v1alpha1.CommandPurpose, status runcommand.Status) v1alpha1.CommandStatus {
	command := sent(purpose, status)
	command.CompletionTime = new(metav1.NewMicroTime(noon))
	return command
}

func TestNext(t *testing.T) {
	const ok = runcommand.StatusSuccess
	tests := map[string]struct {
		step     v1alpha1.RecoveryStep
		commands []v1alpha1.CommandStatus
		want     v1alpha1.CommandPurpose
	}{
		"a command":                       {commandStep, nil, runPurpose},
		"a command in flight":             {commandStep, []v1alpha1.CommandStatus{sent(runPurpose, ok)}, runPurpose},
		"a command whose result was lost": {commandStep, []v1alpha1.CommandStatus{over(runPurpose, ok)}, runPurpose},

		"a reboot":               {rebootStep, nil, runPurpose},
		"a reboot intended":      {rebootStep, []v1alpha1.CommandStatus{intended(runPurpose)}, runPurpose},
		"a reboot in flight":     {rebootStep, []v1alpha1.CommandStatus{sent(runPurpose, ok)}, runPurpose},
		"a reboot ordered":       {rebootStep, []v1alpha1.CommandStatus{over(runPurpose, ok)}, verifyPurpose},
		"a reboot being checked": {rebootStep, []v1alpha1.CommandStatus{over(runPurpose, ok), sent(verifyPurpose, ok)}, verifyPurpose},

		"a document":               {documentStep, nil, checkPurpose},
		"a document being checked": {documentStep, []v1alpha1.CommandStatus{sent(checkPurpose, ok)}, checkPurpose},
		"a document cleared":       {documentStep, []v1alpha1.CommandStatus{over(checkPurpose, ok)}, runPurpose},
		"a document intended": {
			documentStep, []v1alpha1.CommandStatus{over(checkPurpose, ok), intended(runPurpose)}, runPurpose,
		},
		"a document that has ended": {
			documentStep, []v1alpha1.CommandStatus{over(checkPurpose, ok), over(runPurpose, ok)}, verifyPurpose,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(next(attempt(test.step, test.commands...))).To(Equal(test.want))
		})
	}
}

func TestRequest(t *testing.T) {
	withOutput := func(r *v1alpha1.Remediation) *v1alpha1.Remediation {
		r.Spec.Output = v1alpha1.OutputSpec{CloudWatchLogGroup: "/ssm", S3Bucket: "logs", S3KeyPrefix: "web"}
		return r
	}
	document := documentStep
	document.Document = &v1alpha1.DocumentStep{
		Name: "restart-web", Version: "3", Parameters: []v1alpha1.DocumentParameter{{Name: "services", Values: []string{"httpd", "php"}}},
	}
	now := noon.Add(10 * time.Second)

	t.Run("a document", func(t *testing.T) {
		g := NewWithT(t)
		got, err := request(withOutput(attempt(document)), runPurpose, now)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(got).To(Equal(runcommand.Send{
			InstanceIDs: []string{"i-00000000000000001"}, Document: "restart-web", DocumentVersion: "3",
			Parameters:         map[string][]string{"services": {"httpd", "php"}},
			Comment:            "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10/Run",
			DeliveryTimeout:    30 * time.Second,
			CloudWatchLogGroup: "/ssm", S3Bucket: "logs", S3KeyPrefix: "web",
		}))
	})
	for name, test := range map[string]struct {
		step    v1alpha1.RecoveryStep
		purpose v1alpha1.CommandPurpose
	}{
		"the check before a document": {document, checkPurpose},
		"a command":                   {commandStep, runPurpose},
		"a reboot":                    {rebootStep, runPurpose},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := request(withOutput(attempt(test.step)), test.purpose, now)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.Document).To(Equal(runcommand.DocumentRunShellScript))
			g.Expect(got.Parameters["commands"][0]).To(HavePrefix("# ssm-remediator recovery"))
			g.Expect(got.Comment).To(HaveSuffix("/" + string(test.purpose)))
			g.Expect(got.DeliveryTimeout).To(Equal(110*time.Second), "what is left until notAfter")
			g.Expect(got.CloudWatchLogGroup + got.S3Bucket + got.S3KeyPrefix).To(Equal("/ssmlogsweb"))
		})
	}
}

// TestHoldOutlastsTheCommands has the node kept at least until what follows the first command is over.
func TestHoldOutlastsTheCommands(t *testing.T) {
	g := NewWithT(t)
	document := attempt(documentStep)
	latest := document.Spec.NotAfter.Add(runcommand.MinDeliveryTimeout + stepTimeout(&document.Spec) + cancelTime)
	g.Expect(document.Spec.OpenTime.Add(hold(&document.Spec))).To(BeTemporally(">=", latest))

	reboot := attempt(rebootStep, over(runPurpose, runcommand.StatusSuccess))
	g.Expect(noon.Add(hold(&reboot.Spec))).To(BeTemporally(">=", verifyEnd(reboot)))
	g.Expect(hold(&attempt(commandStep).Spec)).To(BeZero())
}

func TestHorizon(t *testing.T) {
	g := NewWithT(t)
	notAfter := noon.Add(2 * time.Minute)
	for _, r := range []*v1alpha1.Remediation{attempt(commandStep), attempt(rebootStep), attempt(documentStep)} {
		g.Expect(horizon(r, sequence(r.Spec.Step)[0])).To(Equal(notAfter.Add(process.RecoveryTimeout(recovery(r)) + clockSkew)))
	}
	g.Expect(horizon(attempt(documentStep), runPurpose)).To(Equal(notAfter.Add(30*time.Second + time.Minute + clockSkew)))
}
