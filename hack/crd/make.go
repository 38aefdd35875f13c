// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Maker makes up values that a schema admits, as its tape chooses.
type Maker struct {
	*Tape
	// Now is what times are around.
	Now time.Time
	// Values are what a field may be, by its path, where a pattern or a rule binds it. Others are made up from their bounds.
	Values map[string][]any
	// OneOf are fields of which an object has exactly one, by the path of the object.
	OneOf map[string][]string
}

// Make makes up a value for a field. It panics when a rule binds the field and there are no Values for it: that is a field
// which somebody has added.
func (m Maker) Make(path string, schema *Schema) any {
	if values, known := m.Values[path]; known {
		return Choose(m.Tape, values...)
	}
	switch {
	case len(schema.Enum) > 0:
		return m.enumerated(schema)
	case schema.XIntOrString:
		panic("crd.Maker has no Values for " + path)
	case schema.Type == "object":
		return m.object(path, schema)
	case schema.Type == "array":
		return m.list(path, schema)
	case schema.Type == "boolean":
		return m.Coin()
	case schema.Type == "integer":
		return m.integer(schema)
	case schema.Format == "date-time":
		return m.time()
	case schema.Pattern != "" || len(schema.XValidations) > 0:
		panic("crd.Maker has no Values for " + path)
	default:
		return m.text(schema)
	}
}

func (m Maker) enumerated(schema *Schema) any {
	var value any
	if err := utiljson.Unmarshal(schema.Enum[m.Below(len(schema.Enum))].Raw, &value); err != nil {
		panic(fmt.Sprintf("reading an enum: %v", err))
	}
	return value
}

func (m Maker) object(path string, schema *Schema) any {
	object := map[string]any{}
	alternatives := m.OneOf[path]
	one := ""
	if len(alternatives) > 0 {
		one = Choose(m.Tape, alternatives...)
	}
	for _, name := range names(schema) {
		wanted := slices.Contains(schema.Required, name) || name == one
		if slices.Contains(alternatives, name) && name != one || !wanted && !m.Coin() {
			continue
		}
		object[name] = m.Make(path+"."+name, property(schema, name))
	}
	return object
}

// mostItems is how many items a list has at most that is made up.
const mostItems = 6

func (m Maker) list(path string, schema *Schema) any {
	least, most := 0, mostItems
	if schema.MinItems != nil {
		least = int(*schema.MinItems)
	}
	if schema.MaxItems != nil {
		most = min(most, int(*schema.MaxItems))
	}
	items, known := []any{}, map[string]bool{}
	for range least + m.Below(most-least+1) {
		item := m.Make(path+"[]", schema.Items.Schema)
		if key := keyOf(schema, item); key == "" || !known[key] {
			known[key] = true
			items = append(items, item)
		}
	}
	return items
}

// keyOf is what tells an item of a list from all others; empty in a list that may have an item twice.
func keyOf(schema *Schema, item any) string {
	switch {
	case schema.XListType == nil, *schema.XListType == "atomic":
		return ""
	case *schema.XListType == "map":
		key := map[string]any{}
		for _, name := range schema.XListMapKeys {
			key[name] = item.(map[string]any)[name]
		}
		item = key
	}
	text, err := json.Marshal(item)
	if err != nil {
		panic(fmt.Sprintf("writing the key of an item: %v", err))
	}
	return string(text)
}

func (m Maker) integer(schema *Schema) any {
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if schema.Format == "int32" {
		least, most = math.MinInt32, math.MaxInt32
	}
	if schema.Minimum != nil {
		least = int64(*schema.Minimum)
	}
	if schema.Maximum != nil {
		most = int64(*schema.Maximum)
	}
	first := max(least, min(most, 1))
	return Choose(m.Tape, first, min(most, first+int64(m.Below(5))), min(most, first+59), max(least, 0), least, most)
}

// timeForm is how the API has times.
const timeForm = "2006-01-02T15:04:05.000000Z"

// time is now, or a while ago, or still to come, or as far away as anyone may write it.
func (m Maker) time() string {
	unit := Choose(m.Tape, time.Second, time.Minute, time.Hour, 24*time.Hour)
	at := m.Now.Add(time.Duration(Choose(m.Tape, -1, 0, 1)*m.Below(90)) * unit)
	first, last := time.Date(1000, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(9998, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	return Choose(m.Tape, at, at, at, at, m.Now, time.Unix(0, 0), first, last).UTC().Format(timeForm)
}

func (m Maker) text(schema *Schema) string {
	text := Choose(m.Tape, "web", "Role", "é日🔥", "{{ssm:secret}}", "a\nb\x00\x1b[2J", "", strings.Repeat("日", 2048))
	if schema.MaxLength != nil && utf8.RuneCountInString(text) > int(*schema.MaxLength) {
		text = string([]rune(text)[:*schema.MaxLength])
	}
	if schema.MinLength != nil && utf8.RuneCountInString(text) < int(*schema.MinLength) {
		text = strings.Repeat("a", int(*schema.MinLength))
	}
	return text
}
