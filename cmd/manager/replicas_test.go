// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/shard"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// TestReplicas lets two replicas share a lease that nobody would wait for to run out: the second one works when the first has
// given it up, and not when it has been lost.
func TestReplicas(t *testing.T) {
	g := NewWithT(t)
	makeNamespaces(t)
	cloud := newCloud(t, "web")
	policy := apply(t, "web", "web", nil)
	args := []string{
		"--leader-elect", webArgs, "--leader-elect-lease-duration=1h", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=1s",
	}
	lease := clearLease(t, shard.Shard{Namespaces: []string{"shop", "web"}}.Lease())
	holder := func() string { return holder(t.Context(), "shop", "web") }

	firstHealth, secondHealth := freeAddress(t), freeAddress(t)
	first := startManager(t, cloud, "web", append(args, "--health-probe-bind-address="+firstHealth)...)
	becomes(t, v1alpha1.ConditionHealthy, healthy, policy)
	second := startManager(t, cloud, "web", append(args, "--health-probe-bind-address="+secondHealth)...)
	for _, address := range []string{firstHealth, secondHealth} {
		for _, path := range []string{"healthz", "readyz"} {
			g.Eventually(answers).WithArguments(t.Context(), address, path).WithTimeout(patience).Should(Succeed())
		}
	}
	leader := holder()
	g.Expect(leader).NotTo(BeEmpty())
	g.Expect(second.called()).To(BeZero(), "it is ready and waits")

	g.Expect(first.Stop()).To(Succeed())
	g.Eventually(second.called).WithTimeout(patience).Should(BeNumerically(">", 0), "the lease was given up")
	g.Expect(holder()).NotTo(BeElementOf("", leader))
	g.Expect(first.log()).NotTo(ContainSubstring("The manager ended with an error"))

	// Somebody else takes the lease, as happens when a leader could not renew it.
	taken := &coordinationv1.Lease{ObjectMeta: lease.ObjectMeta}
	g.Eventually(func() error {
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(lease), taken); err != nil {
			return err
		}
		taken.Spec.HolderIdentity, taken.Spec.RenewTime = new("somebody else"), new(metav1.NowMicro())
		return cluster.Client.Update(t.Context(), taken)
	}).Should(Succeed())
	g.Eventually(second.Ended()).WithTimeout(patience).Should(BeClosed())
	g.Expect(second.log()).To(ContainSubstring("leader election lost"))
	calls := second.called()
	third := startManager(t, cloud, "web", append(args, "--health-probe-bind-address="+secondHealth)...)
	g.Eventually(answers).WithArguments(t.Context(), secondHealth, "readyz").WithTimeout(patience).Should(Succeed())
	g.Eventually(third.log).WithTimeout(patience).Should(ContainSubstring("ttempting to acquire leader lease"))
	g.Expect(third.called()).To(BeZero(), "it has no lease")
	g.Expect(second.called()).To(Equal(calls))
}

// clearLease removes what other tests have left of a lease, whose holder is gone.
func clearLease(t *testing.T, name string) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: testenv.ManagerNamespace, Name: name}}
	remove := func() error { return client.IgnoreNotFound(cluster.Client.Delete(context.Background(), lease)) }
	NewWithT(t).Expect(remove()).To(Succeed())
	t.Cleanup(func() { _ = remove() })
	return lease
}

// freeAddress is an address on loopback where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// answers asks a manager for its health.
func answers(ctx context.Context, address, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/"+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, response.Status)
	}
	return nil
}
