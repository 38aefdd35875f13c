// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"os"
	"testing"

	. "github.com/onsi/gomega"
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
