// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// TestRebootSurvivesTheClient goes the way of a reboot from a policy into a Remediation. An empty object is all there is to
// it: a client that left it out would write a step that says nothing.
func TestRebootSurvivesTheClient(t *testing.T) {
	g := NewWithT(t)
	written := policy()
	written.Namespace = cluster.NewNamespace(t)
	written.Spec.Recovery.Steps = []v1alpha1.RecoveryStep{{Reboot: &v1alpha1.RebootStep{}}}
	g.Expect(cluster.Client.Create(t.Context(), written)).To(Succeed())

	read := &v1alpha1.RemediationPolicy{}
	g.Expect(cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(written), read)).To(Succeed())
	g.Expect(read.Spec.Recovery.Steps).To(Equal([]v1alpha1.RecoveryStep{{Reboot: &v1alpha1.RebootStep{}}}))
	read.Spec.Suspend = true
	g.Expect(cluster.Client.Update(t.Context(), read)).To(Succeed())
	g.Expect(read.Generation).To(Equal(int64(2)), "the update has to have been written")

	opened := remediation(written.Namespace)
	opened.Spec.Step = read.Spec.Recovery.Steps[0]
	g.Expect(cluster.Client.Create(t.Context(), opened)).To(Succeed())

	emptyReboot := map[string]any{"reboot": map[string]any{}}
	g.Expect(rawSpec(t, read)).To(HaveKeyWithValue("recovery", HaveKeyWithValue("steps", Equal([]any{emptyReboot}))))
	g.Expect(rawSpec(t, opened)).To(HaveKeyWithValue("step", Equal(emptyReboot)))
}

// rawSpec reads the spec of an object as the API server stores it.
func rawSpec(t *testing.T, object client.Object) map[string]any {
	t.Helper()
	g := NewWithT(t)
	gvk, err := cluster.Client.GroupVersionKindFor(object)
	g.Expect(err).NotTo(HaveOccurred())
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(gvk)
	g.Expect(cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(object), raw)).To(Succeed())
	spec, found, err := unstructured.NestedMap(raw.Object, "spec")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(BeTrue())
	return spec
}
