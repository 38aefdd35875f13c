// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestTheCacheHoldsTheNamespacesOfTheShard(t *testing.T) {
	g := NewWithT(t)
	o, err := parse("--namespace=home", "--watch-namespaces=web,shop")
	g.Expect(err).NotTo(HaveOccurred())
	c, err := cacheOptions(o)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.DefaultNamespaces).To(HaveLen(2))
	g.Expect(c.DefaultNamespaces).To(And(HaveKey("web"), HaveKey("shop")))
	g.Expect(c.ByObject).To(HaveLen(2))
	for object, of := range c.ByObject {
		switch object.GetObjectKind().GroupVersionKind().Kind {
		case "ConfigMap":
			g.Expect(of.Namespaces).To(And(HaveLen(1), HaveKey("home")), "the kill switch is the manager's own")
		case "Namespace":
			for name, want := range map[string]bool{"web": true, "shop": true, "home": false, "other": false} {
				g.Expect(of.Label.Matches(labels.Set{corev1.LabelMetadataName: name})).To(Equal(want), name)
			}
		}
	}
}

func TestTheCacheOfAManagerOfEverythingHoldsAllNamespaces(t *testing.T) {
	g := NewWithT(t)
	o, err := parse("--namespace=home")
	g.Expect(err).NotTo(HaveOccurred())
	c, err := cacheOptions(o)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.DefaultNamespaces).To(BeEmpty())
	g.Expect(c.ByObject).To(HaveLen(1))
}

func TestWhatNobodyReadsIsNotKept(t *testing.T) {
	g := NewWithT(t)
	policy := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{
		Name: "httpd", Labels: map[string]string{"team": "a"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: "{}", v1alpha1.AnnotationSilencedUntil: "2026-03-01T12:00:00Z"},
	}}
	kept, err := slim(policy)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(kept).To(Equal(&v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{
		Name: "httpd", Labels: map[string]string{"team": "a"},
		Annotations: map[string]string{v1alpha1.AnnotationSilencedUntil: "2026-03-01T12:00:00Z"},
	}}))

	gone := toolscache.DeletedFinalStateUnknown{Key: "web/httpd"}
	g.Expect(slim(gone)).To(Equal(gone))

	running := finished(1)
	running.Status.Conditions[0].Status = metav1.ConditionFalse
	whole := running.DeepCopy()
	g.Expect(slim(running)).To(Equal(whole), "an attempt in flight is needed whole")

	ended := finished(1)
	_, err = slim(ended)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ended.Status.Output).To(BeEmpty())
	g.Expect(ended.Status.Evidence).To(BeEmpty())
	g.Expect(ended.Status.Conditions).To(HaveLen(1))
}

// TestARecordTakesLittleMemory decodes records as a watch does, and weighs what is kept of them: it does not depend on what was to
// be run, nor on what it printed.
func TestARecordTakesLittleMemory(t *testing.T) {
	const count, most = 2000, 3 << 10
	for _, length := range []int{1, 4, 10} {
		text, err := json.Marshal(finished(length))
		g := NewWithT(t)
		g.Expect(err).NotTo(HaveOccurred())
		kept := make([]any, count)
		before := heap()
		for n := range kept {
			record := &v1alpha1.Remediation{}
			g.Expect(json.Unmarshal(text, record)).To(Succeed())
			kept[n], err = slim(record)
			g.Expect(err).NotTo(HaveOccurred())
		}
		each := (heap() - before) / count
		t.Logf("%d bytes of JSON take %d bytes", len(text), each)
		g.Expect(each).To(BeNumerically("<", most))
		g.Expect(kept).To(HaveLen(count))
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// finished is a Remediation as one that did not help is recorded, with texts of so many times the usual length.
func finished(length int) *v1alpha1.Remediation {
	at := metav1.NewMicroTime(time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC))
	return &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{
			Name: "httpd-x7f2k9abcd", Namespace: "web", UID: "2f0c5f0e-9a36-4c8c-9d0f-6f1a3f1c7c12", ResourceVersion: "123456789",
			Labels: map[string]string{v1alpha1.LabelPolicy: "httpd", v1alpha1.LabelInstance: "i-0a1b2c3d4e5f67890"},
		},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{Name: "httpd", UID: "2f0c5f0e-9a36-4c8c-9d0f-6f1a3f1c7c11", Generation: 1},
			Account:   "123456789012", Region: region, InstanceID: "i-0a1b2c3d4e5f67890", Sequence: 1, Attempt: 1, Mode: v1alpha1.ModeEnforce,
			Process: v1alpha1.ProcessSpec{SystemdUnit: "httpd.service"}, CheckTimeoutSeconds: 10, StartupGraceSeconds: 300,
			Step: v1alpha1.RecoveryStep{
				Command: v1alpha1.ShellCommand(strings.Repeat("systemctl start httpd; ", length)), TimeoutSeconds: new(int32(60)), VerifySeconds: new(int32(30)),
			},
			Evidence: []v1alpha1.ShellCommand{"systemctl status httpd", "journalctl -u httpd -n 20"},
			Output:   v1alpha1.OutputSpec{Keep: v1alpha1.KeepOnFailure},
			Detection: v1alpha1.Detection{
				Source: v1alpha1.DetectionSourceProbe, Reason: "UnitNotActive", Message: "httpd.service is failed (Result: exit-code)",
				FirstFailureTime: at, Time: at, CommandID: "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10",
			},
			OpenTime: at, NotAfter: at, TTLSecondsAfterFinished: 604800,
		},
		Status: v1alpha1.RemediationStatus{
			Conditions: []metav1.Condition{{
				Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ResultIneffective),
				Message: "the step ended with exit code 0, and the process is still down after 30 s: httpd.service is failed",
			}},
			Commands: []v1alpha1.CommandStatus{{
				Purpose: v1alpha1.CommandPurposeRun, IntentTime: at, CommandID: "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10", SendTime: &at,
				CompletionTime: &at, Status: "Failed",
			}},
			ExitCode: new(int32(0)), Output: strings.Repeat("o", 200*length), StartTime: &at, CompletionTime: &at,
			Took:     &metav1.Duration{Duration: 31 * time.Second},
			Evidence: []v1alpha1.Evidence{{Output: strings.Repeat("e", 250*length)}, {Output: strings.Repeat("e", 250*length)}},
		},
	}
}
