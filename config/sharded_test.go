// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// TestSharded installs several managers on a cluster of its own: what is installed on the other one would grant more.
func TestSharded(t *testing.T) {
	g := NewWithT(t)
	own, err := testenv.Start(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = own.Stop() })
	for _, name := range []string{systemNamespace, "web", "shop", "data", "other"} {
		g.Expect(own.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
	output, err := own.Kubectl(t.Context(), "", "apply", "-k", "config/sharded", "--dry-run=server")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(output).NotTo(ContainSubstring("would violate PodSecurity"))
	_, err = own.Kubectl(t.Context(), "", "apply", "-k", "config/sharded")
	g.Expect(err).NotTo(HaveOccurred())

	t.Run("what the managers may do", func(t *testing.T) { shardsMay(t, own) })
	t.Run("only the managers open Remediations, each in its namespaces", func(t *testing.T) { onlyTheShardsOpen(t, own) })
	t.Run("flags and roles name the same namespaces", func(t *testing.T) { flagsAndRolesAgree(t, own) })
	t.Run("the replicas of each are spread and protected", func(t *testing.T) { replicasAreProtected(t, own, 2) })
	t.Run("nobody reaches more than their metrics", func(t *testing.T) { onlyMetricsAreReached(t, own) })
}

func shardsMay(t *testing.T, own *testenv.Cluster) {
	for action, want := range map[string]string{
		"list remediationpolicies.ssm-remediator.io -n web":                        "yes",
		"watch remediations.ssm-remediator.io -n shop":                             "yes",
		"patch remediationpolicies.ssm-remediator.io -n shop --subresource status": "yes",
		"create remediations.ssm-remediator.io -n web":                             "yes",
		"create events.events.k8s.io -n web":                                       "yes",
		"watch namespaces":                                                         "yes",
		"update leases.coordination.k8s.io -n " + systemNamespace:                  "yes",
		"get configmaps/ssm-remediator-stop -n " + systemNamespace:                 "yes",

		"list remediationpolicies.ssm-remediator.io -A":      "no",
		"list remediations.ssm-remediator.io -n data":        "no",
		"create remediations.ssm-remediator.io -n data":      "no",
		"create remediations.ssm-remediator.io -n other":     "no",
		"create events.events.k8s.io -n data":                "no",
		"patch remediationpolicies.ssm-remediator.io -n web": "no",
		"get secrets -n " + systemNamespace:                  "no",
		"list configmaps -n " + systemNamespace:              "no",
	} {
		t.Run(action, func(t *testing.T) { mayI(t, own, managerUser+"-web", action, want) })
	}
	mayI(t, own, managerUser+"-data", "create remediations.ssm-remediator.io -n data", "yes")
	mayI(t, own, managerUser+"-data", "create remediations.ssm-remediator.io -n web", "no")
	mayI(t, own, managerUser, "list remediationpolicies.ssm-remediator.io -n web", "no")
}

func onlyTheShardsOpen(t *testing.T, own *testenv.Cluster) {
	g := NewWithT(t)
	g.Eventually(func() error {
		return own.Client.Create(t.Context(), remediation("web"), client.DryRunAll)
	}).WithTimeout(time.Minute).Should(SatisfyAll(
		Satisfy(apierrors.IsForbidden), MatchError(ContainSubstring("opened and recorded by the controller only"))))
	g.Expect(as(t, own, managerUser).Create(t.Context(), remediation("web"))).To(Satisfy(apierrors.IsForbidden))

	web := as(t, own, managerUser+"-web")
	g.Expect(web.Create(t.Context(), remediation("web"))).To(Succeed())
	g.Expect(web.Create(t.Context(), remediation("data"))).To(MatchError(ContainSubstring("cannot create resource")))
	g.Expect(as(t, own, managerUser+"-data").Create(t.Context(), remediation("data"))).To(Succeed())
}

// flagsAndRolesAgree holds each manager's flag against the RoleBindings to its service account. One namespace too many in the
// flag, and the manager never starts; one too many in the roles, and it has rights that it does not need.
func flagsAndRolesAgree(t *testing.T, own *testenv.Cluster) {
	g := NewWithT(t)
	bindings := &rbacv1.RoleBindingList{}
	g.Expect(own.Client.List(t.Context(), bindings)).To(Succeed())
	granted := map[string][]string{}
	for _, binding := range bindings.Items {
		if binding.RoleRef.Name == "ssm-remediator-manager" {
			granted[binding.Subjects[0].Name] = append(granted[binding.Subjects[0].Name], binding.Namespace)
		}
	}
	watched := map[string][]string{}
	for _, deployment := range deployments(t.Context(), g, own) {
		pod := deployment.Spec.Template.Spec
		g.Expect(pod.Containers[0].Args).To(ContainElement("--leader-elect"))
		for _, arg := range pod.Containers[0].Args {
			if list, ok := strings.CutPrefix(arg, "--watch-namespaces="); ok {
				watched[pod.ServiceAccountName] = strings.Split(list, ",")
			}
		}
	}
	g.Expect(watched).To(HaveLen(2))
	for account, namespaces := range watched {
		g.Expect(granted[account]).To(ConsistOf(namespaces), account)
	}
	g.Expect(granted).To(HaveLen(len(watched)))
}

func deployments(ctx context.Context, g *WithT, own *testenv.Cluster) []appsv1.Deployment {
	list := &appsv1.DeploymentList{}
	g.Expect(own.Client.List(ctx, list, client.InNamespace(systemNamespace))).To(Succeed())
	return list.Items
}

// replicasAreProtected looks at so many managers: each has two replicas that know each other, and no others, by their labels.
func replicasAreProtected(t *testing.T, own *testenv.Cluster, count int) {
	g := NewWithT(t)
	budgets := &policyv1.PodDisruptionBudgetList{}
	g.Expect(own.Client.List(t.Context(), budgets, client.InNamespace(systemNamespace))).To(Succeed())
	managers := deployments(t.Context(), g, own)
	g.Expect(managers).To(HaveLen(count))
	g.Expect(budgets.Items).To(HaveLen(count))
	for _, manager := range managers {
		g.Expect(*manager.Spec.Replicas).To(BeEquivalentTo(2))
		pod := manager.Spec.Template.Spec
		// The manager takes up to 30 s to end what it has begun.
		g.Expect(*pod.TerminationGracePeriodSeconds).To(BeNumerically(">", 30))
		budget := slices.IndexFunc(budgets.Items, func(b policyv1.PodDisruptionBudget) bool { return b.Name == manager.Name })
		g.Expect(budget).To(BeNumerically(">=", 0))
		g.Expect(budgets.Items[budget].Spec.MaxUnavailable.IntValue()).To(Equal(1))
		selectors := []*metav1.LabelSelector{manager.Spec.Selector, budgets.Items[budget].Spec.Selector}
		g.Expect(pod.TopologySpreadConstraints).To(HaveLen(2))
		for _, spread := range pod.TopologySpreadConstraints {
			selectors = append(selectors, spread.LabelSelector)
		}
		for _, selector := range selectors {
			g.Expect(selected(g, selector, managers)).To(Equal([]string{manager.Name}))
		}
	}
}

// onlyMetricsAreReached checks that what comes in is refused to all managers, but for the port of their metrics.
func onlyMetricsAreReached(t *testing.T, own *testenv.Cluster) {
	g := NewWithT(t)
	list := &networkingv1.NetworkPolicyList{}
	g.Expect(own.Client.List(t.Context(), list, client.InNamespace(systemNamespace))).To(Succeed())
	g.Expect(list.Items).To(HaveLen(1))
	policy := list.Items[0].Spec
	g.Expect(policy.PolicyTypes).To(Equal([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress}))
	g.Expect(policy.Ingress).To(HaveLen(1))
	g.Expect(policy.Ingress[0].From).To(HaveLen(1))
	g.Expect(policy.Ingress[0].Ports).To(HaveLen(1))
	managers := deployments(t.Context(), g, own)
	g.Expect(selected(g, &policy.PodSelector, managers)).To(HaveLen(len(managers)))
	for _, manager := range managers {
		ports := manager.Spec.Template.Spec.Containers[0].Ports
		g.Expect(ports).To(ContainElement(HaveField("Name", policy.Ingress[0].Ports[0].Port.StrVal)))
	}
}

// selected are the managers whose Pods a selector matches.
func selected(g *WithT, selector *metav1.LabelSelector, managers []appsv1.Deployment) []string {
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, manager := range managers {
		if matcher.Matches(labels.Set(manager.Spec.Template.Labels)) {
			names = append(names, manager.Name)
		}
	}
	return names
}
