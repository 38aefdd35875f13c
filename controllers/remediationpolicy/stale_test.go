// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// lagging is a client whose cache of Remediations takes in nothing new while it is frozen.
type lagging struct {
	client.Client
	frozen *v1alpha1.RemediationList
}

func (l *lagging) freeze(w *world) { l.frozen = &v1alpha1.RemediationList{Items: w.list()} }

func (l *lagging) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if remediations, ok := list.(*v1alpha1.RemediationList); ok && l.frozen != nil {
		*remediations = *l.frozen.DeepCopy()
		return nil
	}
	return l.Client.List(ctx, list, options...)
}

// counting counts the live lists of Remediations.
type counting struct {
	client.Reader
	lists int
}

func (c *counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.RemediationList); ok {
		c.lists++
	}
	return c.Reader.List(ctx, list, options...)
}

var _ = Describe("A replica whose cache lags behind", func() {
	It("keeps to maxConcurrent over what it has not seen", func() {
		w := newWorld(4)
		w.apply(evenAll, func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxConcurrent = new(intstr.FromInt32(1)) })
		w.addReplica()
		cache := &lagging{Client: cluster.Client}
		w.replicas[1].policies.Client = cache
		w.pass()
		cache.freeze(w)
		for n := range 4 {
			w.set(n, func(n *node) { n.up, n.helps = false, false })
		}
		w.advance(70 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.list()).To(HaveLen(1))
	})

	It("does not list all attempts live while the cache has the last ones", func() {
		w := newWorld(3)
		w.apply(evenAll, func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxConcurrent = new(intstr.FromInt32(1)) })
		live := &counting{Reader: cluster.Client}
		w.replicas[0].policies.Live = live
		for n := range 3 {
			w.set(n, down)
		}
		w.advance(60 * time.Second)
		Expect(w.results()).To(HaveLen(3))
		Expect(live.lists).To(Equal(1), "once, when nothing was known of what had been opened")
	})
})
