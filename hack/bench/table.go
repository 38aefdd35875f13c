// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table is one in Markdown, that can be read without being rendered too.
type table struct {
	title string
	lines [][]string
}

func newTable(title string, columns ...string) *table {
	return &table{title: title, lines: [][]string{columns}}
}

// add adds a line.
func (t *table) add(cells ...string) { t.lines = append(t.lines, cells) }

// write writes the table, unless it is empty.
func (t *table) write(out *strings.Builder) {
	if len(t.lines) == 1 {
		return
	}
	widths := make([]int, len(t.lines[0]))
	for _, line := range t.lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(escaped(cell)))
		}
	}
	fmt.Fprintf(out, "\n%s\n\n", t.title)
	for n, line := range t.lines {
		for i, cell := range line {
			fmt.Fprintf(out, "| %-*s ", widths[i], escaped(cell))
		}
		out.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprintf(out, "|%s", strings.Repeat("-", width+2))
			}
			out.WriteString("|\n")
		}
	}
}

// escaped is a text that stays in its cell.
func escaped(cell string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(cell)
}
