// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// TestPolicyDefaults asserts what the three lines of a minimal policy become.
func TestPolicyDefaults(t *testing.T) {
	g := NewWithT(t)
	got := policy()
	g.Expect(cluster.Client.Create(t.Context(), got, client.DryRunAll)).To(Succeed())

	want := policy().Spec
	want.Mode = v1alpha1.ModeEnforce
	want.Probe = v1alpha1.ProbeSpec{
		PeriodSeconds: 30, TimeoutSeconds: 10, FailureThreshold: 2, ConfirmSeconds: 5, SuccessThreshold: 1,
		StartupGraceSeconds: new(int32(300)), Mode: v1alpha1.ProbeInterval, WatchSeconds: 300,
	}
	want.Recovery.StableSeconds = 600
	want.Limits = v1alpha1.LimitsSpec{
		Attempts: 3, WindowSeconds: 3600, BackoffSeconds: 60, BackoffMaxSeconds: 600,
		StopAfterIneffective: 5,
		MaxConcurrent:        new(intstr.FromString("10%")),
		MaxUnhealthy:         new(intstr.FromString("50%")),
	}
	want.Output = v1alpha1.OutputSpec{Keep: v1alpha1.KeepOnFailure}
	want.History = v1alpha1.HistorySpec{Limit: 100, TTLSeconds: 604800}
	g.Expect(got.Spec).To(Equal(want))
	g.Expect(got.Status).To(Equal(v1alpha1.RemediationPolicyStatus{ObservedGeneration: -1}),
		"a new policy has to read as in progress")
}

// TestRemediationDefaults asserts what is added to an attempt that says nothing of its mode and its output.
func TestRemediationDefaults(t *testing.T) {
	g := NewWithT(t)
	got := remediation(metav1.NamespaceDefault)
	g.Expect(cluster.Client.Create(t.Context(), got, client.DryRunAll)).To(Succeed())

	want := remediation(metav1.NamespaceDefault).Spec
	want.Mode = v1alpha1.ModeEnforce
	want.Output = v1alpha1.OutputSpec{Keep: v1alpha1.KeepOnFailure}
	g.Expect(&got.Spec).To(BeComparableTo(&want))
}
