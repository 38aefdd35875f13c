// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
)

// samples are valid policies: the one that has every field first, and those that say it in the other ways.
func samples(t *testing.T) []map[string]any {
	t.Helper()
	g, directory := NewWithT(t), filepath.Join(cluster.Root, "config", "samples")
	files, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	full := filepath.Join(directory, "full.yaml")
	var all []map[string]any
	for _, file := range append([]string{full}, slices.DeleteFunc(files, func(f string) bool { return f == full })...) {
		text, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		object := map[string]any{}
		g.Expect(utilyaml.Unmarshal(text, &object)).To(Succeed())
		if object["kind"] == "RemediationPolicy" {
			all = append(all, byStep(object)...)
		}
	}
	return all
}

// byStep is a policy for each step of its ladder: only the first one is changed.
func byStep(object map[string]any) []map[string]any {
	steps, _, _ := unstructured.NestedSlice(object, "spec", "recovery", "steps")
	var all []map[string]any
	for n := range steps {
		one := runtime.DeepCopyJSON(object)
		one["spec"].(map[string]any)["recovery"].(map[string]any)["steps"] = slices.Delete(slices.Clone(steps), 0, n)
		all = append(all, one)
	}
	return all
}

var index = regexp.MustCompile(`\[\d+\]`)

// TestEveryWrongFieldIsRefusedOrBorne changes valid policies field by field. The API server refuses what comes of it with a message
// that names the field, or the controller bears it: the status tells, and passes come to rest.
func TestEveryWrongFieldIsRefusedOrBorne(t *testing.T) {
	g, namespace := NewWithT(t), cluster.NewNamespace(t)
	schema, err := crd.Load("remediationpolicies")
	g.Expect(err).NotTo(HaveOccurred())
	all := samples(t)
	mutated, accepted, refused := map[string]bool{}, 0, 0
	for n, sample := range all {
		donors := slices.Delete(slices.Clone(all), n, n+1)
		if n > 0 {
			donors = nil // Fields that the others have are tried on the first one.
		}
		for _, mutation := range crd.Mutations("spec", schema, sample, donors...) {
			field := index.ReplaceAllString(mutation.Field, "[]")
			if n > 0 && mutated[field] {
				continue
			}
			mutated[field] = true
			object := &unstructured.Unstructured{Object: mutation.Object}
			object.SetNamespace(namespace)
			err := cluster.Client.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
			if err != nil {
				refused++
				g.Expect(apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)).To(BeTrue(), "%v: %v", mutation, err)
				g.Expect(names(mutation.Field, err.Error())).To(BeTrue(), "%v: the field is not named in %q", mutation, err)
				continue
			}
			accepted++
			policy := &v1alpha1.RemediationPolicy{}
			g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy)).To(Succeed(), "%v", mutation)
			t.Run(fmt.Sprint(mutation), func(t *testing.T) { bear(t, policy.Spec) })
		}
	}
	// A field that nobody mutates is one that no sample has.
	g.Expect(slices.Collect(maps.Keys(mutated))).To(ContainElements(crd.Fields("spec", new(schema.Properties["spec"]))))
	g.Expect(accepted).To(BeNumerically(">", 100))
	g.Expect(refused).To(BeNumerically(">", 300))
	t.Logf("%d mutations of %d fields were refused, and %d borne", refused, len(mutated), accepted)
}

// names reports whether a message names a field, or the one that it is part of.
func names(field, message string) bool {
	for path := field; strings.Contains(path, "."); path = path[:strings.LastIndexByte(path, '.')] {
		if strings.Contains(message, path) || strings.Contains(message, index.ReplaceAllString(path, "")) {
			return true
		}
	}
	return field == "spec" && strings.Contains(message, field)
}

// bear has the controllers live with a spec.
func bear(t *testing.T, spec v1alpha1.RemediationPolicySpec) {
	l := newLife(t, inMemory(t, "web"), "web")
	l.Fleet.Nodes()[0].Fail(l.Clock.Now())
	l.apply(spec)
	l.Turn()
	l.told()
	l.Run(20*time.Second, 15)
	l.told()
	l.atRest()
	l.actedOnce()
}
