// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/controllers/shard"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

const (
	healthy = "True/AllHealthy"
	webArgs = "--watch-namespaces=web,shop"
)

// results are those of all Remediations of a policy.
func results(ctx context.Context, policy *v1alpha1.RemediationPolicy) []v1alpha1.Result {
	list := &v1alpha1.RemediationList{}
	if err := cluster.Client.List(ctx, list, client.InNamespace(policy.Namespace),
		client.MatchingLabels{v1alpha1.LabelPolicy: policy.Name}); err != nil {
		return nil
	}
	var results []v1alpha1.Result
	for i := range list.Items {
		results = append(results, decide.ResultOf(&list.Items[i]))
	}
	return results
}

// holder is who holds the lease of the managers of some namespaces; empty when nobody does.
func holder(ctx context.Context, namespaces ...string) string {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: testenv.ManagerNamespace, Name: shard.Shard{Namespaces: namespaces}.Lease()}
	if err := cluster.Client.Get(ctx, key, lease); err != nil {
		return ""
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// TestShards runs the managers of config/sharded, each with its rights, which end at its namespaces.
func TestShards(t *testing.T) {
	g := NewWithT(t)
	makeNamespaces(t)
	cloud := newCloud(t, "web", "shop", "data")
	web, shop, data := apply(t, "web", "web", nil), apply(t, "shop", "shop", nil), apply(t, "data", "data", nil)

	webManager := startManager(t, cloud, "web", "--leader-elect", webArgs)
	becomes(t, v1alpha1.ConditionHealthy, healthy, web, shop)
	g.Expect(read(t.Context(), data).Status.Conditions).To(BeEmpty(), "it is nobody's")

	dataManager := startManager(t, cloud, "data", "--leader-elect", "--watch-namespaces=data")
	becomes(t, v1alpha1.ConditionHealthy, healthy, data)
	holdersBefore := []string{holder(t.Context(), "shop", "web"), holder(t.Context(), "data")}
	g.Expect(holdersBefore[0]).NotTo(BeEmpty())
	g.Expect(holdersBefore[1]).NotTo(BeElementOf("", holdersBefore[0]))

	cloud.nodes["data"].Fail(time.Now())
	g.Eventually(results).WithArguments(t.Context(), data).WithTimeout(patience).
		Should(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
	g.Expect(cloud.ledger.Effects()).To(HaveLen(1))
	g.Expect(dataManager.sends()).To(ContainElement(HaveSuffix("/Run")))
	g.Expect(webManager.sends()).NotTo(ContainElement(HaveSuffix("/Run")))

	silence(t, "shop")
	becomes(t, v1alpha1.ConditionRemediationAllowed, "False/Silenced", shop)
	becomes(t, v1alpha1.ConditionRemediationAllowed, "True/Allowed", web, data)

	stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: testenv.ManagerNamespace, Name: v1alpha1.KillSwitch}}
	g.Expect(cluster.Client.Create(t.Context(), stop)).To(Succeed())
	becomes(t, v1alpha1.ConditionReady, "False/Stopped", web, shop, data)
	g.Expect(cluster.Client.Delete(t.Context(), stop)).To(Succeed())
	becomes(t, v1alpha1.ConditionHealthy, healthy, web, shop, data)

	g.Expect(webManager.probed()).To(ConsistOf(string(web.UID), string(shop.UID)))
	g.Expect(dataManager.probed()).To(ConsistOf(string(data.UID)))
	for _, manager := range []*managerProcess{webManager, dataManager} {
		g.Expect(manager.log()).NotTo(ContainSubstring("forbidden"), "it asks for nothing that it may not have")
	}
	g.Expect([]string{holder(t.Context(), "shop", "web"), holder(t.Context(), "data")}).To(Equal(holdersBefore))
}

// silence silences a Namespace for the rest of the test.
func silence(t *testing.T, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	annotate := func(ctx context.Context, until string) error {
		return cluster.Client.Patch(ctx, namespace, client.RawPatch(types.MergePatchType,
			[]byte(`{"metadata": {"annotations": {"`+v1alpha1.AnnotationSilencedUntil+`": `+until+`}}}`)))
	}
	NewWithT(t).Expect(annotate(t.Context(), `"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"`)).To(Succeed())
	t.Cleanup(func() { _ = annotate(context.Background(), "null") })
}

// TestSelectors lets two managers share a namespace. What goes from one to the other is done once.
func TestSelectors(t *testing.T) {
	g := NewWithT(t)
	makeNamespaces(t)
	cloud := newCloud(t, "one", "other")
	one := apply(t, "web", "one", map[string]string{"team": "a"})
	other := apply(t, "web", "other", nil)
	first := startManager(t, cloud, "web", "--leader-elect", webArgs, "--policy-selector=team=a")
	second := startManager(t, cloud, "web", "--leader-elect", webArgs, "--policy-selector=team!=a")
	becomes(t, v1alpha1.ConditionHealthy, healthy, one, other)
	g.Expect(first.probed()).To(ConsistOf(string(one.UID)))
	g.Expect(second.probed()).To(ConsistOf(string(other.UID)))

	// The label is all that changes, while an attempt is under way.
	cloud.nodes["one"].SetStep(simulated.Step{Takes: 5 * time.Second, Helps: true})
	cloud.nodes["one"].Fail(time.Now())
	g.Eventually(func() []string { return first.sends() }).WithTimeout(patience).Should(ContainElement(HaveSuffix("/Run")))
	label(t, one, "null")
	g.Eventually(second.probed).WithTimeout(patience).Should(ConsistOf(string(one.UID), string(other.UID)))
	g.Eventually(results).WithArguments(t.Context(), one).WithTimeout(patience).
		Should(Equal([]v1alpha1.Result{v1alpha1.ResultRecovered}))
	becomes(t, v1alpha1.ConditionHealthy, healthy, one, other)
	g.Expect(cloud.ledger.Effects()).To(HaveLen(1))
	g.Expect(second.sends()).NotTo(ContainElement(HaveSuffix("/Run")))

	// The other way, while nothing happens.
	label(t, other, `"a"`)
	g.Eventually(first.probed).WithTimeout(patience).Should(ConsistOf(string(one.UID), string(other.UID)))
	becomes(t, v1alpha1.ConditionHealthy, healthy, other)
}

// label sets the label by which the managers choose.
func label(t *testing.T, policy *v1alpha1.RemediationPolicy, team string) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"labels": {"team": `+team+`}}}`))
	NewWithT(t).Expect(cluster.Client.Patch(t.Context(), policy.DeepCopy(), patch)).To(Succeed())
}
