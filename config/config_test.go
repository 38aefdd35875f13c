// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config_test holds the manifests to what they promise, with kubectl on a real API server.
package config_test

import (
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

const (
	systemNamespace = "ssm-remediator-system"
	managerUser     = "system:serviceaccount:ssm-remediator-system:ssm-remediator-controller-manager"
)

var cluster *testenv.Cluster

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &cluster)) }

// TestDefault goes the way of an installation: a server-side dry run first, then the real thing, and then what the
// manifests allow and refuse.
func TestDefault(t *testing.T) {
	g := NewWithT(t)
	// A dry run creates nothing, so that nothing could go into a namespace that is only just being created.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}
	g.Expect(client.IgnoreAlreadyExists(cluster.Client.Create(t.Context(), namespace))).To(Succeed())

	output, err := cluster.Kubectl(t.Context(), "", "apply", "-k", "config/default", "--dry-run=server")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(output).To(MatchRegexp(`deployment.apps/ssm-remediator-controller-manager \w+ \(server dry run\)`))
	g.Expect(output).NotTo(ContainSubstring("would violate PodSecurity"))

	output, err = cluster.Kubectl(t.Context(), "", "apply", "-k", "config/default")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(output).NotTo(ContainSubstring("would violate PodSecurity"))

	t.Run("what the manager may do", managerMay)
	t.Run("only the manager opens Remediations", onlyTheManagerOpens)
	t.Run("roles of users are not aggregated", rolesAreNotAggregated)
	t.Run("the replicas are spread and protected", func(t *testing.T) { replicasAreProtected(t, cluster, 1) })
	t.Run("nobody reaches more than its metrics", func(t *testing.T) { onlyMetricsAreReached(t, cluster) })
}

func managerMay(t *testing.T) {
	for action, want := range map[string]string{
		"list remediationpolicies.ssm-remediator.io -A":                       "yes",
		"watch remediationpolicies.ssm-remediator.io -A":                      "yes",
		"patch remediationpolicies.ssm-remediator.io -A --subresource status": "yes",
		"create remediations.ssm-remediator.io -A":                            "yes",
		"patch remediations.ssm-remediator.io -A":                             "yes",
		"delete remediations.ssm-remediator.io -A":                            "yes",
		"patch remediations.ssm-remediator.io -A --subresource status":        "yes",
		"create events.events.k8s.io -A":                                      "yes",
		"create leases.coordination.k8s.io -n " + systemNamespace:             "yes",

		"create leases.coordination.k8s.io -n default":            "no",
		"create remediationpolicies.ssm-remediator.io -n default": "no",
		"patch remediationpolicies.ssm-remediator.io -n default":  "no",
		"delete remediationpolicies.ssm-remediator.io -n default": "no",
		"get secrets -n " + systemNamespace:                       "no",
		"create pods -n " + systemNamespace:                       "no",
		"watch namespaces":                                        "yes",
		"update namespaces":                                       "no",
		"list configmaps -n " + systemNamespace:                   "no",
	} {
		t.Run(action, func(t *testing.T) { mayI(t, cluster, managerUser, action, want) })
	}
}

// mayI asks the API server whether a user may do something.
func mayI(t *testing.T, of *testenv.Cluster, user, action, want string) {
	t.Helper()
	// can-i exits 1 for no, which is an answer and no failure.
	output, _ := of.Kubectl(t.Context(), "", append([]string{"auth", "can-i", "--as", user}, strings.Fields(action)...)...)
	lines := strings.Split(strings.TrimSpace(output), "\n")
	NewWithT(t).Expect(lines[len(lines)-1]).To(Equal(want), "%s: %s", action, output)
}

// as is a client that acts as a service account.
func as(t *testing.T, of *testenv.Cluster, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(of.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: user, Groups: []string{"system:serviceaccounts", "system:authenticated"},
	}
	c, err := client.New(config, client.Options{Scheme: of.Client.Scheme()})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return c
}

func onlyTheManagerOpens(t *testing.T) {
	g := NewWithT(t)
	const refusal = "Remediations are opened and recorded by the controller only; " +
		"to have an instance recovered, create or edit a RemediationPolicy"
	namespace := cluster.NewNamespace(t)

	// The API server takes a moment until it enforces a new policy.
	g.Eventually(func() error {
		return cluster.Client.Create(t.Context(), remediation(namespace), client.DryRunAll)
	}).WithTimeout(time.Minute).Should(SatisfyAll(
		Satisfy(apierrors.IsForbidden), MatchError(ContainSubstring(refusal))))

	asManager := as(t, cluster, managerUser)
	opened := remediation(namespace)
	g.Expect(asManager.Create(t.Context(), opened)).To(Succeed())

	recorded := opened.DeepCopy()
	recorded.Status.Output = "forged"
	patch := client.MergeFrom(opened)
	g.Expect(cluster.Client.Status().Patch(t.Context(), recorded.DeepCopy(), patch)).To(
		MatchError(ContainSubstring(refusal)))
	g.Expect(asManager.Status().Patch(t.Context(), recorded, patch)).To(Succeed())
	g.Expect(cluster.Client.Delete(t.Context(), opened)).To(Succeed(), "people have to be able to clean up")
}

func rolesAreNotAggregated(t *testing.T) {
	g := NewWithT(t)
	output, err := cluster.Kubectl(t.Context(), "", "get", "clusterroles", "-l", "app.kubernetes.io/name=ssm-remediator",
		"-o", "jsonpath={range .items[*]}{.metadata.name}{\" \"}{.metadata.labels}{\"\\n\"}{end}")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(output).To(ContainSubstring("ssm-remediator-remediationpolicy-editor "))
	g.Expect(output).NotTo(ContainSubstring("rbac.authorization.k8s.io/aggregate-to"))
}

// TestSamples applies the samples as a user does, with strict validation.
func TestSamples(t *testing.T) {
	g := NewWithT(t)
	output, err := cluster.Kubectl(t.Context(), "", "apply", "--validate=strict", "-n", cluster.NewNamespace(t),
		"-k", "config/samples")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Count(output, " created")).To(Equal(9), output)
}

func remediation(namespace string) *v1alpha1.Remediation {
	at := metav1.NewMicroTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	return &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{Name: "httpd-x7f2k9", Namespace: namespace},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{Name: "httpd", UID: "2f0c5f0e-9a36-4c8c-9d0f-6f1a3f1c7c11", Generation: 1},
			Account:   "123456789012", Region: "eu-central-1", InstanceID: "i-0a1b2c3d4e5f67890", Sequence: 1, Attempt: 1,
			Process:             v1alpha1.ProcessSpec{SystemdUnit: "httpd.service"},
			CheckTimeoutSeconds: 10,
			Step:                v1alpha1.RecoveryStep{Command: "systemctl start httpd"},
			Detection: v1alpha1.Detection{
				Source: v1alpha1.DetectionSourceProbe, Reason: "ProcessNotRunning", FirstFailureTime: at, Time: at,
			},
			OpenTime: at, NotAfter: at,
		},
	}
}
