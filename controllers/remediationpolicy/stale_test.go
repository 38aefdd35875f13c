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

	It("looks for what became of a claim that has just expired", func() {
		w := newWorld(3)
		w.apply(evenAll, func(s *v1alpha1.RemediationPolicySpec) { s.Limits.MaxConcurrent = new(intstr.FromInt32(1)) })
		w.set(2, down)
		w.advance(20 * time.Second)
		Expect(w.results()).To(HaveLen(1))
		w.set(0, down)
		for w.replicas[0].policies.fleets.byPolicy[w.key()].states[id(0)].Failures == 0 {
			w.advance(time.Second)
		}
		w.confirm()
		cache := &lagging{Client: cluster.Client}
		cache.freeze(w)
		w.reconcile(w.replicas[0].policies, w.key())
		Expect(w.list()).To(HaveLen(2))
		Expect(w.recoveries()).To(HaveLen(1), "the other one has not begun, and its claim is not settled")
		w.replicas = nil
		w.addReplica()
		next := w.replicas[0].policies
		live := &counting{Reader: cluster.Client}
		next.Client, next.Live = cache, live
		w.set(1, down)
		for range int(sendWindow/time.Second) + 20 {
			w.clock.Step(time.Second)
			w.reconcile(next, w.key())
			w.replicas[0].prober.beginQueued(w.ctx)
			w.replicas[0].regions.Get(location).Step(w.ctx)
		}
		Expect(live.lists).NotTo(BeZero())
		Expect(w.list()).To(HaveLen(2))
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
