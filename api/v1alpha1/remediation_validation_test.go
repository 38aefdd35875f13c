// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const immutable = "spec is the record of an attempt and cannot be changed; to try again, the policy opens a new Remediation"

// remediation is a Remediation as the controller opens it.
func remediation(namespace string) *v1alpha1.Remediation {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	return &v1alpha1.Remediation{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Remediation"},
		ObjectMeta: metav1.ObjectMeta{Name: "httpd-x7f2k9", Namespace: namespace},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{Name: "httpd", UID: "2f0c5f0e-9a36-4c8c-9d0f-6f1a3f1c7c11", Generation: 3},
			Account:   "123456789012", Region: "eu-central-1", InstanceID: "i-0a1b2c3d4e5f67890",
			Sequence: 1, Attempt: 1,
			Process:             v1alpha1.ProcessSpec{SystemdUnit: "httpd.service"},
			CheckTimeoutSeconds: 10,
			Step: v1alpha1.RecoveryStep{
				Command: "systemctl start httpd", TimeoutSeconds: new(int32(60)), VerifySeconds: new(int32(30)),
			},
			OpenTime: metav1.NewMicroTime(at),
			Detection: v1alpha1.Detection{
				Source: v1alpha1.DetectionSourceProbe, Reason: "ProcessNotRunning",
				FirstFailureTime: metav1.NewMicroTime(at), Time: metav1.NewMicroTime(at),
			},
			NotAfter:                metav1.NewMicroTime(at.Add(5 * time.Minute)),
			TTLSecondsAfterFinished: 604800,
		},
	}
}

// rejectedRemediations are what even the controller cannot create.
var rejectedRemediations = map[string]refusal{
	"no spec":          {`{"spec":null}`, "spec", "Required value"},
	"an unknown field": {`{"spec":{"retries":3}}`, "", `unknown field "spec.retries"`},
	"no policy":        {`{"spec":{"policyRef":null}}`, "spec.policyRef", "Required value"},
	"a long policy name": {`{"spec":{"policyRef":{"name":` + quoted(64) + `}}}`, "spec.policyRef.name",
		"may not be more than 63 bytes"},
	"a long policy uid": {`{"spec":{"policyRef":{"uid":` + quoted(65) + `}}}`, "spec.policyRef.uid",
		"may not be more than 64 bytes"},
	"a long account":  {`{"spec":{"account":"1234567890123"}}`, "spec.account", "may not be more than 12 bytes"},
	"no account":      {`{"spec":{"account":null}}`, "spec.account", "Required value"},
	"no region":       {`{"spec":{"region":null}}`, "spec.region", "Required value"},
	"a long region":   {`{"spec":{"region":` + quoted(33) + `}}`, "spec.region", "may not be more than 32 bytes"},
	"a bad instance":  {`{"spec":{"instanceID":"web-1"}}`, "spec.instanceID", badID},
	"sequence 0":      {`{"spec":{"sequence":0}}`, "spec.sequence", "should be greater than or equal to 1"},
	"attempt 0":       {`{"spec":{"attempt":0}}`, "spec.attempt", "should be greater than or equal to 1"},
	"two processes":   {`{"spec":{"process":{"name":"httpd"}}}`, "spec.process", oneOf},
	"no check time":   {`{"spec":{"checkTimeoutSeconds":0}}`, "spec.checkTimeoutSeconds", "should be greater than or equal to 1"},
	"long check time": {`{"spec":{"checkTimeoutSeconds":301}}`, "spec.checkTimeoutSeconds", "should be less than or equal to 300"},
	"step -1":         {`{"spec":{"stepIndex":-1}}`, "spec.stepIndex", "should be greater than or equal to 0"},
	"step 8":          {`{"spec":{"stepIndex":8}}`, "spec.stepIndex", "should be less than or equal to 7"},
	"an empty step":   {`{"spec":{"step":{"command":null}}}`, "spec.step", oneKind},
	"two kinds":       {`{"spec":{"step":{"document":{"name":"web-repair"}}}}`, "spec.step", oneKind},
	"a reboot's end":  {`{"spec":{"step":{"command":null,"reboot":{}}}}`, "spec.step", rebootEnds},
	"an unknown mode": {`{"spec":{"mode":"DryRun"}}`, "spec.mode", `supported values: "Enforce", "Observe"`},
	"a grace of -1": {`{"spec":{"startupGraceSeconds":-1}}`, "spec.startupGraceSeconds",
		"should be greater than or equal to 0"},
	"a grace over a day": {`{"spec":{"startupGraceSeconds":86401}}`, "spec.startupGraceSeconds",
		"should be less than or equal to 86400"},
	"5 of evidence":    {`{"spec":{"evidence":` + list(5, aCommand) + `}}`, "spec.evidence", "must have at most 4 items"},
	"long evidence":    {`{"spec":{"evidence":[` + quoted(1025) + `]}}`, "spec.evidence", longEvidence},
	"an output's ways": {`{"spec":{"output":{"keep":"Sometimes"}}}`, "spec.output.keep", keeps},
	"a prefix of none": {`{"spec":{"output":{"s3KeyPrefix":"web"}}}`, "spec.output", noBucket},
	"no opening time":  {`{"spec":{"openTime":null}}`, "spec.openTime", "Required value"},
	"no end":           {`{"spec":{"notAfter":null}}`, "spec.notAfter", "Required value"},
	"an end in words":  {`{"spec":{"notAfter":"soon"}}`, "spec.notAfter", "must be of type date-time"},
	"a negative ttl": {`{"spec":{"ttlSecondsAfterFinished":-1}}`, "spec.ttlSecondsAfterFinished",
		"should be greater than or equal to 0"},
	"an unknown source": {`{"spec":{"detection":{"source":"Guess"}}}`, "spec.detection.source", `supported values: "Probe", "Request"`},
	"no reason":         {`{"spec":{"detection":{"reason":null}}}`, "spec.detection.reason", "Required value"},
	"a long reason": {`{"spec":{"detection":{"reason":` + quoted(65) + `}}}`, "spec.detection.reason",
		"may not be more than 64 bytes"},
	"a long message": {`{"spec":{"detection":{"message":` + quoted(513) + `}}}`, "spec.detection.message",
		"may not be more than 512 bytes"},
	"a long command id": {`{"spec":{"detection":{"commandID":` + quoted(37) + `}}}`, "spec.detection.commandID",
		"may not be more than 36 bytes"},
}

func TestRemediationAccepted(t *testing.T) {
	acceptAll(t, remediationToTry, map[string]string{
		"a command":           `{}`,
		"one only to observe": `{"spec":{"mode":"Observe"}}`,
		"one asked for":       `{"spec":{"detection":{"source":"Request"}}}`,
		"a document":          `{"spec":{"step":{"command":null,"document":{"name":"web-repair","version":"$LATEST"}}}}`,
		"a reboot":            `{"spec":{"step":{"command":null,"timeoutSeconds":null,"reboot":{}}}}`,
		"no evidence":         `{"spec":{"evidence":[]}}`,
		"all evidence":        `{"spec":{"evidence":` + list(4, aCommand) + `}}`,
		"a long one":          `{"spec":{"evidence":[` + quoted(1024) + `]}}`,
		"no grace":            `{"spec":{"startupGraceSeconds":0}}`,
		"a grace of a day":    `{"spec":{"startupGraceSeconds":86400}}`,
		"all output":          `{"spec":{"output":{"keep":"Always","cloudWatchLogGroup":"/web","s3Bucket":"web","s3KeyPrefix":"a/b"}}}`,
	})
}

func TestRemediationRejected(t *testing.T) { rejectAll(t, remediationToTry, rejectedRemediations) }

func remediationToTry() *v1alpha1.Remediation { return remediation(metav1.NamespaceDefault) }

func TestRemediationSpecIsImmutable(t *testing.T) {
	g := NewWithT(t)
	stored := remediation(cluster.NewNamespace(t))
	g.Expect(cluster.Client.Create(t.Context(), stored)).To(Succeed())

	for name, mutate := range map[string]func(*v1alpha1.RemediationSpec){
		"the command":  func(s *v1alpha1.RemediationSpec) { s.Step.Command = "rm -rf /" },
		"the instance": func(s *v1alpha1.RemediationSpec) { s.InstanceID = "i-0a1b2c3d" },
		"the mode":     func(s *v1alpha1.RemediationSpec) { s.Mode = v1alpha1.ModeObserve },
		"the output":   func(s *v1alpha1.RemediationSpec) { s.Output.Keep = v1alpha1.KeepNever },
		"the evidence": func(s *v1alpha1.RemediationSpec) { s.Evidence = []v1alpha1.ShellCommand{"uptime"} },
		"the kind":     func(s *v1alpha1.RemediationSpec) { s.Step = v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}} },
		"the end":      func(s *v1alpha1.RemediationSpec) { s.NotAfter = metav1.NewMicroTime(s.NotAfter.Add(time.Hour)) },
		"something that was left out": func(s *v1alpha1.RemediationSpec) {
			s.Detection.Message = "now with a message"
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			changed := stored.DeepCopy()
			mutate(&changed.Spec)
			g.Expect(cluster.Client.Update(t.Context(), changed)).To(MatchError(ContainSubstring("spec: Invalid value: " + immutable)))
		})
	}

	t.Run("labels, finalizers and status can change", func(t *testing.T) {
		g := NewWithT(t)
		changed := stored.DeepCopy()
		changed.Labels = map[string]string{v1alpha1.LabelPolicy: "httpd"}
		changed.Finalizers = []string{v1alpha1.FinalizerInFlight}
		g.Expect(cluster.Client.Update(t.Context(), changed)).To(Succeed())
		changed.Status.Output = strings.Repeat("a", 2048)
		g.Expect(cluster.Client.Status().Update(t.Context(), changed)).To(Succeed())
		changed.Status.Output += "a"
		g.Expect(cluster.Client.Status().Update(t.Context(), changed)).To(
			MatchError(ContainSubstring("status.output: Too long: may not be more than 2048 bytes")))
	})
}
