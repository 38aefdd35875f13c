// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// slim is a client that reads Remediations as the manager's cache keeps them.
type slim struct{ client.Client }

func (s slim) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := s.Client.Get(ctx, key, object, options...); err != nil {
		return err
	}
	if r, ok := object.(*v1alpha1.Remediation); ok {
		remediation.Slim(r)
	}
	return nil
}

func (s slim) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := s.Client.List(ctx, list, options...); err != nil {
		return err
	}
	if remediations, ok := list.(*v1alpha1.RemediationList); ok {
		for i := range remediations.Items {
			remediation.Slim(&remediations.Items[i])
		}
	}
	return nil
}

var _ = Describe("A record that is kept slim in memory", func() {
	It("stays whole in the API server, whatever is written to it after its result", func() {
		a := newAttempt(command(), func(s *v1alpha1.RemediationSpec) {
			s.Output.Keep = v1alpha1.KeepAlways
			s.Evidence = []v1alpha1.ShellCommand{"journalctl -u httpd"}
		})
		a.SetStep(simulated.Step{Helps: true, Output: "started"})
		// A controller that dies right after the result leaves the finalizer to the next one, which has only its cache.
		replica := a.replicas[0].remediations
		replica.Client = mortal{replica.Client, func(after bool) {
			if after && a.result() != v1alpha1.ResultRunning {
				panic(killed{})
			}
		}}
		a.until(overall)
		before := a.remediation()
		before.Status.Evidence = []v1alpha1.Evidence{{Output: "exited"}}
		Expect(cluster.Client.Status().Update(a.ctx, before)).To(Succeed())
		Expect(before.Finalizers).NotTo(BeEmpty())
		Expect(before.Status.Output).To(ContainSubstring("started"))
		a.step()
		after := a.remediation()
		Expect(after.Finalizers).To(BeEmpty())
		Expect(after.Spec).To(Equal(before.Spec))
		Expect(after.Status).To(Equal(before.Status))
		cached := &v1alpha1.Remediation{}
		Expect(a.replicas[0].remediations.Client.Get(a.ctx, a.key, cached)).To(Succeed())
		Expect(cached.Spec.Step).To(BeZero())
		Expect(cached.Spec.Evidence).To(BeEmpty())
		Expect(cached.Status.Output).To(BeEmpty())
		Expect(cached.Status.Evidence).To(BeEmpty())
	})

	It("is whole until it has its result", func() {
		a := newAttempt(command())
		slowly(a)
		a.until(6 * time.Second)
		whole, cached := a.remediation(), &v1alpha1.Remediation{}
		Expect(a.replicas[0].remediations.Client.Get(a.ctx, a.key, cached)).To(Succeed())
		Expect(cached).To(Equal(whole))
		Expect(cached.Status.Commands).To(HaveLen(1))
	})
})
