// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"encoding/json"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

// gate lets through what an API server would, by everything in the schema but CEL.
type gate struct {
	schema    *Schema
	validator *validate.SchemaValidator
}

func newGate(schema *Schema) (*gate, error) {
	text, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	converted := &spec.Schema{}
	if err := json.Unmarshal(text, converted); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	return &gate{schema: schema, validator: validate.NewSchemaValidator(converted, nil, "", strfmt.Default)}, nil
}

// refuse says what is wrong with an object; nil when nothing is.
func (g *gate) refuse(object map[string]any) []error {
	plain := map[string]any{"spec": object["spec"]}
	if status, is := object["status"]; is {
		plain["status"] = status
	}
	return append(g.validator.Validate(plain).Errors, duplicates("", g.schema, plain)...)
}

// duplicates are the items that lists have twice which must not.
func duplicates(path string, schema *Schema, value any) []error {
	var errs []error
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			errs = append(errs, duplicates(path+"."+name, property(schema, name), inner)...)
		}
	case []any:
		known := map[string]bool{}
		for n, item := range value {
			if key := keyOf(schema, item); key != "" && known[key] {
				errs = append(errs, fmt.Errorf("%s[%d]: duplicate value %s", path, n, key))
			} else {
				known[key] = true
			}
			errs = append(errs, duplicates(path+"[]", schema.Items.Schema, item)...)
		}
	}
	return errs
}

// fillIn fills in the defaults of fields that are absent, and drops null where there is one, as an API server does.
func fillIn(schema *Schema, value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range names(schema) {
			field := property(schema, name)
			if inner, is := value[name]; (!is || inner == nil) && field.Default != nil {
				var filled any
				if err := utiljson.Unmarshal(field.Default.Raw, &filled); err != nil {
					panic(fmt.Sprintf("reading the default of %s: %v", name, err))
				}
				value[name] = filled
			}
			fillIn(field, value[name])
		}
	case []any:
		for _, item := range value {
			fillIn(schema.Items.Schema, item)
		}
	}
}
