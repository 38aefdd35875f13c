// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"os"
	"testing"

	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

var cluster *testenv.Cluster

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &cluster)) }

// edited returns object with the merge patch applied, as a user could write it: with unknown fields, and zeros that the
// Go types leave out.
func edited(g Gomega, object client.Object, patch string) *unstructured.Unstructured {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	g.Expect(err).NotTo(HaveOccurred())
	delete(content, "status")
	if patch != "" {
		var changes map[string]any
		g.Expect(json.Unmarshal([]byte(patch), &changes)).To(Succeed())
		merge(content, changes)
	}
	return &unstructured.Unstructured{Object: content}
}

// merge applies a JSON merge patch (RFC 7386): null removes.
func merge(target, changes map[string]any) {
	for key, change := range changes {
		nested, isMap := change.(map[string]any)
		inner, wasMap := target[key].(map[string]any)
		switch {
		case change == nil:
			delete(target, key)
		case isMap && wasMap:
			merge(inner, nested)
		default:
			target[key] = change
		}
	}
}

// tryCreate asks the API server whether it would create the object, as `kubectl apply` does: unknown fields are errors.
func tryCreate(t *testing.T, object client.Object) error {
	t.Helper()
	return client.WithFieldValidation(cluster.Client, "Strict").Create(t.Context(), object, client.DryRunAll)
}

// acceptAll tries merge patches of an object that all have to be accepted.
func acceptAll[T client.Object](t *testing.T, object func() T, patches map[string]string) {
	t.Helper()
	for name, patch := range patches {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(tryCreate(t, edited(g, object(), patch))).To(Succeed())
		})
	}
}

// refusal is a merge patch of an object that is accepted without it, and the field and the words by which it is refused.
type refusal struct{ patch, field, want string }

// says matches an error that names the field and has the words.
func (r refusal) says() gomegatypes.GomegaMatcher {
	return MatchError(SatisfyAll(ContainSubstring(r.want), ContainSubstring(r.field+": ")))
}

// rejectAll tries merge patches of an object that all have to be refused.
func rejectAll[T client.Object](t *testing.T, object func() T, refusals map[string]refusal) {
	t.Helper()
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(tryCreate(t, edited(g, object(), tc.patch))).To(tc.says())
		})
	}
}
