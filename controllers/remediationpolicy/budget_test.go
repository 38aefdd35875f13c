// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// addPoorReplica adds controllers that may make two calls a second, and have just made all that they may.
func (w *world) addPoorReplica() (*replica, *runcommand.Region) {
	w.budget = runcommand.BudgetOptions{PerSecond: 2}
	w.addReplica()
	r := w.replicas[len(w.replicas)-1]
	region := r.regions.Get(location)
	Expect(region.Budget.Wait(w.ctx, runcommand.PriorityProbe)).To(Succeed())
	return r, region
}

// waitsAt waits until so many calls of a priority wait.
func waitsAt(region *runcommand.Region, p runcommand.Priority, calls int) {
	GinkgoHelper()
	Eventually(func() int { return region.Budget.State().Waiting[p] }).WithTimeout(10 * time.Second).Should(Equal(calls))
}

// confirmation is a round over the first node.
func confirmation() *round {
	return &round{
		location: location, binding: testBinding, instanceIDs: []string{id(0)},
		check: process.Check{
			Process: v1alpha1.ProcessSpec{Name: "httpd"}, Timeout: 10 * time.Second, Namespace: "web", Policy: "httpd",
		},
	}
}

var _ = Describe("With no call left in the AWS budget", func() {
	It("a recovery is not intended before it can be sent", func() {
		w := newWorld(1)
		w.apply()
		w.set(0, down)
		w.pass()
		w.confirm()
		w.reconcile(w.replicas[0].policies, w.key())
		Expect(w.list()).To(HaveLen(1))
		poor, region := w.addPoorReplica()
		ctx, stop := context.WithCancel(w.ctx)
		done := make(chan error)
		go func() {
			attempt := w.list()[0]
			_, err := poor.remediations.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&attempt)})
			done <- err
		}()
		waitsAt(region, runcommand.PriorityRecovery, 1)
		Expect(w.list()[0].Status.Commands).To(BeEmpty())
		stop()
		Eventually(done).WithTimeout(10 * time.Second).Should(Receive(Succeed()))
		Expect(w.list()[0].Status.Commands).To(BeEmpty(), "whoever comes next is free to send")
		Expect(w.recoveries()).To(BeEmpty())

		w.replicas = w.replicas[:1]
		w.advance(2 * time.Second)
		Expect(w.recoveries()).To(HaveLen(1))
		Expect(w.results()).To(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
	})

	It("recoveries of a location that throttles do not hold up those of others", func() {
		w := newWorld(1)
		w.apply()
		w.set(0, down)
		w.pass()
		w.confirm()
		w.reconcile(w.replicas[0].policies, w.key())
		attempt := w.list()[0]
		poor, region := w.addPoorReplica()
		ctx, stop := context.WithCancel(w.ctx)
		DeferCleanup(stop)
		const many = 8
		for range many {
			go func() { _ = region.Budget.Wait(ctx, runcommand.PriorityRecovery) }()
		}
		waitsAt(region, runcommand.PriorityRecovery, many)
		result, err := poor.remediations.Reconcile(w.ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&attempt)})
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(time.Second), "it does not wait")
		Expect(w.list()[0].Status.Commands).To(BeEmpty())
	})

	It("the time in which nodes have to answer begins with the send", func() {
		w := newWorld(1)
		poor, region := w.addPoorReplica()
		r, done := confirmation(), make(chan struct{})
		go func() {
			defer close(done)
			poor.prober.begin(w.ctx, r)
		}()
		waitsAt(region, runcommand.PriorityConfirm, 1)
		w.clock.Step(time.Minute)
		Eventually(done).WithTimeout(10 * time.Second).Should(BeClosed())
		Expect(r.sends).To(HaveLen(1))
		Expect(r.sends[0].sendTime).To(BeTemporally("==", w.clock.Now().Truncate(time.Microsecond)))
	})

	It("a round that was abandoned meanwhile is not sent", func() {
		w := newWorld(1)
		poor, region := w.addPoorReplica()
		r, done := confirmation(), make(chan struct{})
		go func() {
			defer close(done)
			poor.prober.begin(w.ctx, r)
		}()
		waitsAt(region, runcommand.PriorityConfirm, 1)
		r.abandon(region)
		w.clock.Step(time.Minute)
		Eventually(done).WithTimeout(10 * time.Second).Should(BeClosed())
		Expect(w.server.Calls()["SendCommand"]).To(BeZero())
	})

	It("other locations, and the probes of instances that failed, wait behind nobody's round", func() {
		w := newWorld(1)
		poor, region := w.addPoorReplica()
		begun := make(chan types.NamespacedName, 100)
		poor.prober.notify = func(policy types.NamespacedName) { begun <- policy }
		ctx, stop := context.WithCancel(w.ctx)
		ended := make(chan error)
		go func() { ended <- poor.prober.Start(ctx) }()
		for n := range 3 * laneWorkers {
			whole := confirmation()
			whole.policy, whole.targets.InstanceIDs, whole.instanceIDs = types.NamespacedName{Name: fmt.Sprint(n)}, []v1alpha1.InstanceID{"i-1"}, nil
			Expect(poor.prober.Begin(whole)).To(BeTrue())
		}
		waitsAt(region, runcommand.PriorityProbe, laneWorkers)

		failed := confirmation()
		failed.policy.Name = "failed"
		Expect(poor.prober.Begin(failed)).To(BeTrue())
		waitsAt(region, runcommand.PriorityConfirm, 1)
		elsewhere := confirmation()
		elsewhere.policy.Name, elsewhere.location.Region = "elsewhere", "eu-west-1"
		Expect(poor.prober.Begin(elsewhere)).To(BeTrue())
		Eventually(begun).WithTimeout(10 * time.Second).Should(Receive(HaveField("Name", "elsewhere")))
		w.clock.Step(500 * time.Millisecond)
		Eventually(begun).WithTimeout(10 * time.Second).Should(Receive(HaveField("Name", "failed")))
		stop()
		Eventually(ended).WithTimeout(10 * time.Second).Should(Receive(Succeed()))
	})
})
