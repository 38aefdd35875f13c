// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
)

// TestMadeUpObjectsAreAdmitted has a real API server, with all rules, take what is made up, status and all.
func TestMadeUpObjectsAreAdmitted(t *testing.T) {
	namespace, kinds := cluster.NewNamespace(t), map[string]func(*crd.Tape) client.Object{
		"policy":      func(tape *crd.Tape) client.Object { return tape.Policy(noon) },
		"remediation": func(tape *crd.Tape) client.Object { return tape.Remediation(noon) },
	}
	for kind, made := range kinds {
		t.Run(kind, func(t *testing.T) {
			for n, data := range crd.Tapes(t, 100, 1000) {
				g, tape := NewWithT(t), crd.Tape(data)
				o := made(&tape)
				o.SetNamespace(namespace)
				o.SetName(fmt.Sprint(kind, "-", n))
				status := o.DeepCopyObject().(client.Object)
				g.Expect(cluster.Client.Create(t.Context(), o)).To(Succeed(), "number %d", n)
				status.SetResourceVersion(o.GetResourceVersion())
				g.Expect(cluster.Client.Status().Update(t.Context(), status)).To(Succeed(), "number %d", n)
			}
		})
	}
	list := &v1alpha1.RemediationPolicyList{}
	g := NewWithT(t)
	g.Expect(cluster.Client.List(t.Context(), list, client.InNamespace(namespace))).To(Succeed(), "they can be read")
	differing := map[string]bool{}
	for _, policy := range list.Items {
		differing[fmt.Sprint(policy.Spec.Process, policy.Spec.Recovery.Steps, policy.Status)] = true
	}
	g.Expect(len(differing)).To(BeNumerically(">", 90), "they differ")
}
