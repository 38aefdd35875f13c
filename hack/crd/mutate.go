// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// Mutation is a valid object with one field changed, which may be valid or not.
type Mutation struct {
	// Field is the path of the field, with the index of an item of a list, and What is what was done to it.
	Field, What string
	// Object is the whole object.
	Object map[string]any
}

// String names the mutation.
func (m Mutation) String() string { return m.Field + ": " + m.What }

// Mutations changes every field below a field of an object: Acto (SOSP'23) calls that a property at a time. Of a list the
// first item is changed, and the list itself. Fields that the object lacks are not mutated: give an object that has them all,
// or several. donors are other valid objects, whose fields are added to this one beside its own.
func Mutations(field string, schema *Schema, object map[string]any, donors ...map[string]any) []Mutation {
	m := mutator{object: object}
	value, beside := object[field], make([]any, len(donors))
	for n, donor := range donors {
		beside[n] = donor[field]
	}
	m.field([]any{field}, property(schema, field), value, beside)
	return m.mutations
}

// mutator collects mutations of an object.
type mutator struct {
	object    map[string]any
	mutations []Mutation
}

// absent stands for a field that is taken away.
type absent struct{}

// add adds the object with another value at a place, whose steps are names of fields and indexes of lists.
func (m *mutator) add(place []any, what string, value any) {
	changed := runtime.DeepCopyJSON(m.object)
	put(changed, place, value)
	m.mutations = append(m.mutations, Mutation{Field: pathOf(place), What: what, Object: changed})
}

// put sets what is at a place, where everything around it exists.
func put(within any, place []any, value any) {
	for _, step := range place[:len(place)-1] {
		switch step := step.(type) {
		case string:
			within = within.(map[string]any)[step]
		case int:
			within = within.([]any)[step]
		}
	}
	switch last := place[len(place)-1].(type) {
	case string:
		if _, gone := value.(absent); gone {
			delete(within.(map[string]any), last)
			return
		}
		within.(map[string]any)[last] = value
	case int:
		within.([]any)[last] = value
	}
}

// pathOf is a place as the API server names it.
func pathOf(place []any) string {
	var path strings.Builder
	for _, step := range place {
		switch step := step.(type) {
		case string:
			fmt.Fprintf(&path, ".%s", step)
		case int:
			fmt.Fprintf(&path, "[%d]", step)
		}
	}
	return strings.TrimPrefix(path.String(), ".")
}

func step(place []any, next any) []any { return append(slices.Clip(place), next) }

// field mutates one field, and what is in it.
func (m *mutator) field(place []any, schema *Schema, value any, donors []any) {
	if _, named := place[len(place)-1].(string); named {
		m.add(place, "taken away", absent{})
	}
	for _, wrong := range ofOtherKinds(schema) {
		m.add(place, fmt.Sprintf("%T instead", wrong), wrong)
	}
	switch value := value.(type) {
	case map[string]any:
		m.fields(place, schema, value, donors)
	case []any:
		m.list(place, schema, value)
	case string:
		m.text(place, schema, value)
	case int64:
		m.number(place, schema)
	}
}

// ofOtherKinds are values of the kinds of JSON that a field is not.
func ofOtherKinds(schema *Schema) []any {
	kinds := map[string]any{
		"boolean": true, "integer": int64(1), "number": 1.5, "string": "1", "array": []any{}, "object": map[string]any{},
	}
	delete(kinds, schema.Type)
	if schema.XIntOrString {
		delete(kinds, "integer")
		delete(kinds, "string")
	}
	others := []any{nil}
	for _, kind := range []string{"boolean", "integer", "number", "string", "array", "object"} {
		if other, is := kinds[kind]; is {
			others = append(others, other)
		}
	}
	return others
}

// fields mutates an object: each field of it, and what it has too much.
func (m *mutator) fields(place []any, schema *Schema, value map[string]any, donors []any) {
	m.add(place, "empty", map[string]any{})
	m.add(step(place, "surplus"), "a field that does not exist", "1")
	for _, name := range names(schema) {
		inner := step(place, name)
		theirs := inside(donors, name)
		if own, is := value[name]; is {
			m.field(inner, property(schema, name), own, theirs)
			continue
		}
		for n, other := range theirs {
			m.add(inner, fmt.Sprintf("added as number %d has it", n), runtime.DeepCopyJSONValue(other))
		}
	}
}

// inside are the fields of a name in those of some values that have it.
func inside(values []any, name string) []any {
	var found []any
	for _, value := range values {
		if object, is := value.(map[string]any); is {
			if inner, has := object[name]; has {
				found = append(found, inner)
			}
		}
	}
	return found
}

// list mutates a list, and its first item.
func (m *mutator) list(place []any, schema *Schema, value []any) {
	m.add(place, "empty", []any{})
	m.add(place, "with null", append(slices.Clip(value), nil))
	if len(value) == 0 {
		return
	}
	m.add(place, "with its first item twice", append([]any{value[0]}, value...))
	if schema.MaxItems != nil {
		most := int(*schema.MaxItems)
		m.add(place, "with as many items as there may be", differing(value[0], most))
		m.add(place, "with one item too many", differing(value[0], most+1))
	}
	items := schema.Items.Schema
	m.field(step(place, 0), items, value[0], value[1:])
}

// differing are so many items like one, each of which differs from the others in a text.
func differing(like any, count int) []any {
	items := make([]any, count)
	for n := range items {
		items[n] = vary(runtime.DeepCopyJSONValue(like), fmt.Sprintf("%05x", n))
	}
	return items
}

// vary replaces the end of every text in a value by another one of the same length.
func vary(value any, end string) any {
	switch value := value.(type) {
	case string:
		return value[:max(0, len(value)-len(end))] + end[max(0, len(end)-len(value)):]
	case []any:
		for n := range value {
			value[n] = vary(value[n], end)
		}
	case map[string]any:
		for name := range value {
			value[name] = vary(value[name], end)
		}
	}
	return value
}

// number mutates an integer: its bounds, what is just beside them, and what no integer of the API holds.
func (m *mutator) number(place []any, schema *Schema) {
	for _, n := range []int64{0, 1, -1, 1<<31 - 1, 1 << 31, -1 << 31, 1<<63 - 1} {
		m.add(place, fmt.Sprint(n), n)
	}
	m.add(place, "1e300", 1e300)
	if schema.Minimum != nil {
		m.add(place, "the least", int64(*schema.Minimum))
		m.add(place, "less than the least", int64(*schema.Minimum)-1)
	}
	if schema.Maximum != nil {
		m.add(place, "the most", int64(*schema.Maximum))
		m.add(place, "more than the most", int64(*schema.Maximum)+1)
	}
}
