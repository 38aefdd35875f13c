// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

var cluster *testenv.Cluster

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &cluster)) }

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// story does the same to any API server, and tells what that makes of objects.
type story struct {
	*WithT
	t         *testing.T
	api       client.Client
	namespace string
	lines     []string
}

func (s *story) tell(what string, o client.Object, err error) {
	line := what + ": " + string(apierrors.ReasonForError(err))
	if err == nil {
		spec, marshalled := json.Marshal(o)
		s.Expect(marshalled).NotTo(HaveOccurred())
		var content struct {
			Spec   map[string]any `json:"spec"`
			Status map[string]any `json:"status"`
		}
		s.Expect(json.Unmarshal(spec, &content)).To(Succeed())
		text, marshalled := json.Marshal(content)
		s.Expect(marshalled).NotTo(HaveOccurred())
		line += fmt.Sprintf("generation %d, deleted %t, finalizers %v, annotations %v, uid %t: %s", o.GetGeneration(),
			o.GetDeletionTimestamp() != nil, o.GetFinalizers(), o.GetAnnotations(), o.GetUID() != "", text)
	}
	s.lines = append(s.lines, line)
}

// get reads an object again and tells of it.
func (s *story) get(what string, o client.Object) {
	err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(o), o)
	s.tell(what, o, err)
}

func (s *story) policy() {
	ctx, policy := s.t.Context(), &v1alpha1.RemediationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "httpd"},
		Spec: v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{"web"}}}},
			Process:  v1alpha1.ProcessSpec{Name: "httpd"},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "start"}}},
		},
		Status: v1alpha1.RemediationPolicyStatus{Account: "nobody", ObservedGeneration: 7},
	}
	s.tell("created", policy, s.api.Create(ctx, policy.DeepCopy()))
	s.tell("created twice", policy, s.api.Create(ctx, policy.DeepCopy()))
	s.get("read", policy)
	before := policy.DeepCopy()
	policy.Spec.Suspend, policy.Status.Account = true, "nobody"
	s.tell("changed", policy, s.api.Update(ctx, policy))
	s.tell("changed from an old version", before, s.api.Update(ctx, before.DeepCopy()))
	s.tell("not changed", policy, s.api.Update(ctx, policy))
	policy.Annotations = map[string]string{"a": "b"}
	s.tell("annotated", policy, s.api.Update(ctx, policy))
	stale := client.MergeFromWithOptions(before.DeepCopy(), client.MergeFromWithOptimisticLock{})
	changed := before.DeepCopy()
	changed.Status.Account = "1"
	s.tell("status from an old version", changed, s.api.Status().Patch(ctx, changed, stale))
	changed = policy.DeepCopy()
	changed.Status.Account, changed.Spec.Suspend = "1", false
	s.tell("status", changed, s.api.Status().Patch(ctx, changed, client.MergeFrom(policy)))
	for what, patch := range map[string]string{
		"limit null":      `{"spec":{"history":null}}`,
		"a bad number":    `{"spec":{"probe":{"periodSeconds":9}}}`,
		"a bad enum":      `{"spec":{"mode":"Try"}}`,
		"no targets":      `{"spec":{"targets":null}}`,
		"a bad type":      `{"spec":{"suspend":"no"}}`,
		"many windows":    `{"spec":{"maintenanceWindows":[]}}`,
		"two of one key":  `{"spec":{"targets":{"tags":[{"key":"a","values":["b"]},{"key":"a","values":["c"]}]}}}`,
		"two of a set":    `{"spec":{"targets":{"tags":[{"key":"a","values":["b","b"]}]}}}`,
		"a long key":      fmt.Sprintf(`{"spec":{"targets":{"tags":[{"key":"%0129d","values":["b"]}]}}}`, 1),
		"a number or not": `{"spec":{"limits":{"maxConcurrent":true}}}`,
	} {
		err := s.api.Patch(ctx, policy.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
		s.Expect(err == nil).To(Equal(what == "limit null"), "%s: %v", what, err)
	}
	for what, patch := range map[string]string{
		"a time of seconds": `{"status":{"lastProbeTime":"2026-03-29T12:00:00Z"}}`,
		"no time at all":    `{"status":{"breaker":{"openTime":null,"unhealthy":1,"limit":1}}}`,
		"a large number":    `{"status":{"targets":3000000000}}`,
	} {
		err := s.api.Status().Patch(ctx, policy.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
		s.Expect(err).To(HaveOccurred(), what)
	}
	s.get("read again", policy)
	s.tell("deleted", policy, s.api.Delete(ctx, policy))
	s.get("gone", policy)
	s.tell("deleted twice", policy, s.api.Delete(ctx, policy))
}

func (s *story) remediation() {
	ctx := s.t.Context()
	remediation := (&crd.Tape{}).Remediation(noon)
	remediation.Namespace, remediation.Name = s.namespace, "httpd-1"
	remediation.Finalizers = []string{v1alpha1.FinalizerInFlight}
	s.tell("created", remediation, s.api.Create(ctx, remediation))
	s.tell("another is to be deleted", remediation, s.api.Delete(ctx, remediation, client.Preconditions{UID: new(types.UID("x"))}))
	s.tell("deleted", remediation, s.api.Delete(ctx, remediation))
	s.get("held", remediation)
	before := remediation.DeepCopy()
	remediation.Status.Output = "the end"
	s.tell("status", remediation, s.api.Status().Patch(ctx, remediation, client.MergeFrom(before)))
	before = remediation.DeepCopy()
	remediation.Finalizers = nil
	s.tell("let go", remediation, s.api.Patch(ctx, remediation, client.MergeFrom(before)))
	s.get("gone", remediation)
}

func (s *story) others() {
	stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "stop"}}
	s.Expect(s.api.Create(s.t.Context(), stop)).To(Succeed())
	seen := &metav1.PartialObjectMetadata{}
	seen.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	s.Expect(s.api.Get(s.t.Context(), client.ObjectKeyFromObject(stop), seen)).To(Succeed())
	s.Expect(seen.Kind + " " + seen.Name).To(Equal("ConfigMap stop"))
	s.Expect(s.api.Delete(s.t.Context(), stop)).To(Succeed())
	s.get("no more", seen)
}

// TestServerIsLikeAnAPIServer does the same to a real one.
func TestServerIsLikeAnAPIServer(t *testing.T) {
	g := NewWithT(t)
	server, err := crd.NewServer()
	g.Expect(err).NotTo(HaveOccurred())
	var lines [][]string
	for _, api := range []client.Client{cluster.Client, server} {
		s := &story{WithT: g, t: t, api: api, namespace: cluster.NewNamespace(t)}
		s.policy()
		s.remediation()
		s.others()
		lines = append(lines, s.lines)
	}
	for n, line := range lines[0] {
		g.Expect(lines[1][n]).To(Equal(line))
	}
	g.Expect(server.Refused()).To(MatchError(ContainSubstring("lastProbeTime")))
}

// TestServerLists has the Remediations of a policy listed, without those of others.
func TestServerLists(t *testing.T) {
	g := NewWithT(t)
	server, err := crd.NewServer()
	g.Expect(err).NotTo(HaveOccurred())
	for n, policy := range []string{"httpd", "other", "httpd"} {
		remediation := (&crd.Tape{}).Remediation(noon)
		remediation.Namespace, remediation.Name, remediation.Spec.PolicyRef.Name = "web", fmt.Sprint("r-", n), policy
		g.Expect(server.Create(t.Context(), remediation)).To(Succeed())
	}
	list := &v1alpha1.RemediationList{}
	g.Expect(server.List(t.Context(), list, client.InNamespace("web"), client.MatchingFields{"spec.policyRef.name": "httpd"})).To(Succeed())
	g.Expect(list.Items).To(HaveLen(2))
	g.Expect(server.List(t.Context(), list, client.InNamespace("web"))).To(Succeed())
	g.Expect(list.Items).To(HaveLen(3))
	g.Expect(server.List(t.Context(), list, client.InNamespace("db"))).To(Succeed())
	g.Expect(list.Items).To(BeEmpty())
}
