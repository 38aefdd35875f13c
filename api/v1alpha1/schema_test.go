// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// visit calls see for the schema and everything in it, with the path of the field.
func visit(path string, schema apiextensionsv1.JSONSchemaProps, see func(string, apiextensionsv1.JSONSchemaProps)) {
	see(path, schema)
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		visit(path+"."+name, schema.Properties[name], see)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		visit(path+"[]", *schema.Items.Schema, see)
	}
}

// schemaOf reads spec and status of a generated CRD.
func schemaOf(g Gomega, plural string) apiextensionsv1.JSONSchemaProps {
	text, err := os.ReadFile(filepath.Join(cluster.Root, "config", "crd", "bases", "ssm-remediator.io_"+plural+".yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	var crd apiextensionsv1.CustomResourceDefinition
	g.Expect(yaml.UnmarshalStrict(text, &crd)).To(Succeed())
	schema := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, standard := range []string{"apiVersion", "kind", "metadata"} {
		delete(schema.Properties, standard)
	}
	return schema
}

// TestSchemaIsBounded holds the hygiene that the cost of CEL, the size of objects and tools that compare depend on, for
// fields that are yet to come as well.
func TestSchemaIsBounded(t *testing.T) {
	for _, plural := range []string{"remediationpolicies", "remediations"} {
		visit(plural, schemaOf(NewWithT(t), plural), func(path string, schema apiextensionsv1.JSONSchemaProps) {
			t.Run(path, func(t *testing.T) {
				g := NewWithT(t)
				switch schema.Type {
				case "string":
					if schema.Format == "date-time" && !strings.HasSuffix(path, ".conditions[].lastTransitionTime") {
						g.Expect(schema.Pattern).To(HaveSuffix("[.][0-9]{6}Z$"), "typed clients cannot read other times, nor any list with them")
					}
					bounded := schema.MaxLength != nil || len(schema.Enum) > 0 || schema.Format != ""
					g.Expect(bounded).To(BeTrue(), "a string needs a MaxLength, an enum or a format")
				case "array":
					g.Expect(schema.MaxItems).NotTo(BeNil(), "a list needs MaxItems")
					g.Expect(schema.XListType).NotTo(BeNil(), "a list needs a listType")
				case "object":
					g.Expect(schema.AdditionalProperties).To(BeNil(), "a map has no bounds")
				}
				if strings.Contains(path, "[]") {
					g.Expect(schema.Default).To(BeNil(), "a default inside a list item makes Argo CD differ for ever")
				} else {
					g.Expect(schema.Description).NotTo(BeEmpty(), "kubectl explain has to explain it")
				}
			})
		})
	}
}

// TestEveryRuleIsTested fails for a CEL rule whose message no rejected case of this package expects.
func TestEveryRuleIsTested(t *testing.T) {
	g := NewWithT(t)
	tested := map[string]bool{immutable: true}
	for _, table := range []map[string]refusal{
		rejectedPolicies, rejectedSteps, rejectedDocuments, rejectedEvidence, rejectedWindows, rejectedOutputs,
		rejectedRemediations, rejectedPolicyStatuses, rejectedRemediationStatuses,
	} {
		for _, tc := range table {
			tested[tc.want] = true
		}
	}
	for _, plural := range []string{"remediationpolicies", "remediations"} {
		visit(plural, schemaOf(g, plural), func(path string, schema apiextensionsv1.JSONSchemaProps) {
			for _, rule := range schema.XValidations {
				g.Expect(tested).To(HaveKey(rule.Message), "%s: %s", path, rule.Rule)
			}
		})
	}
}
