// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// Schema is that of an object or of a field.
type Schema = apiextensionsv1.JSONSchemaProps

// Load reads the schema of a kind, by its plural, without what all objects of Kubernetes have.
func Load(plural string) (*Schema, error) {
	root, err := testenv.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "crd", "bases", "ssm-remediator.io_"+plural+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the CRD: %w", err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		return nil, fmt.Errorf("reading the CRD of %s: %w", plural, err)
	}
	schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, standard := range []string{"apiVersion", "kind", "metadata"} {
		delete(schema.Properties, standard)
	}
	return schema, nil
}

// Fields are the paths of all fields of a schema, in order. An item of a list has the path of its list and [].
func Fields(path string, schema *Schema) []string {
	fields := []string{path}
	for _, name := range names(schema) {
		fields = append(fields, Fields(path+"."+name, property(schema, name))...)
	}
	if schema.Items != nil {
		fields = append(fields, Fields(path+"[]", schema.Items.Schema)...)
	}
	return fields
}

// names are the properties of an object, in order.
func names(schema *Schema) []string { return slices.Sorted(maps.Keys(schema.Properties)) }

func property(schema *Schema, name string) *Schema {
	p := schema.Properties[name]
	return &p
}
