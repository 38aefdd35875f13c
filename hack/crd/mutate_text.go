// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"encoding/json"
	"fmt"
	"strings"
)

// huge is the length of a text that no field takes.
const huge = 100_000

// texts are what people and tools put into fields that take a text.
var texts = []string{
	"", " ", "a", "\t", "\n", "\x00", "\x1b[31m", "\x7f", "\u2028", "\u202e", "\ufeff", "é", "日本語", "🔥", "-", "--help", ".", "..", "/", "//",
	"../../etc/passwd", "~", "*", "%", "0%", "101%", "50 %", "1e3", "0", "-1", "null", "true", "'", `"`, "`", `\`, "$(reboot)", "${HOME}",
	"{{", "{{ssm:secret}}", "{{ .Values.x }}", "a\nb", "a\r\nb", "a b", "a,b", "a=b", "a:b", "<nil>", "@daily", "1970-01-01T00:00:00Z",
}

// text mutates a text: its length, what is around it and in it, and other texts altogether.
func (m *mutator) text(place []any, schema *Schema, value string) {
	for _, other := range schema.Enum {
		var text string
		if json.Unmarshal(other.Raw, &text) == nil {
			m.add(place, "the other "+text, text)
		}
	}
	for _, text := range texts {
		m.add(place, fmt.Sprintf("%q", text), text)
	}
	m.add(place, "with a blank in front", " "+value)
	m.add(place, "with a blank behind", value+" ")
	m.add(place, "with a line end behind", value+"\n")
	m.add(place, "with braces in it", value+"{{x}}")
	m.add(place, "with NUL in it", value+"\x00")
	m.add(place, "with an escape sequence in it", value+"\x1b[2J")
	m.add(place, "with other letters in it", value+"é日")
	m.add(place, "in capitals", strings.ToUpper(value))
	m.add(place, "twice", value+value)
	m.add(place, "cut", value[:len(value)/2])
	m.add(place, "huge", strings.Repeat("a", huge))
	if schema.MaxLength != nil {
		m.lengths(place, value, int(*schema.MaxLength))
	}
	if schema.MinLength != nil && *schema.MinLength > 0 {
		m.add(place, "too short", strings.Repeat("a", int(*schema.MinLength)-1))
	}
}

// lengths makes a text as long as it may be, and one longer. One of the ways to do that leaves most kinds of texts valid.
func (m *mutator) lengths(place []any, value string, most int) {
	for surplus, what := range []string{"as long as it may be", "one too long"} {
		missing := most + surplus - len(value)
		if missing < 0 || value == "" {
			continue
		}
		m.add(place, what+", longer in front", strings.Repeat(value[:1], missing)+value)
		m.add(place, what+", longer behind", value+strings.Repeat(value[len(value)-1:], missing))
	}
	m.add(place, "as long as it may be, in letters of three bytes", strings.Repeat("日", most))
}
