// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestCut(t *testing.T) {
	long := strings.Repeat("é", stdoutLimit)
	tests := map[string]struct {
		in, want string
		limit    int
	}{
		"fits":                  {strings.Repeat("x", 100), strings.Repeat("x", 100), 100},
		"does not fit":          {strings.Repeat("x", 101), strings.Repeat("x", 80) + "--output truncated--", 100},
		"not within characters": {long, strings.Repeat("é", 40) + "\uFFFD" + "--output truncated--", 101},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(cut(tt.in, tt.limit)).To(Equal(tt.want))
		})
	}
}

func TestMerged(t *testing.T) {
	const o, e = "\n---Output truncated---", "\n---Error truncated----"
	const title = "\n----------ERROR-------\n"
	out, err := strings.Repeat("o", 3000), strings.Repeat("e", 3000)
	tests := map[string]struct {
		stdout, stderr, want string
		length               int
	}{
		"nothing":     {"", "", "", 0},
		"only stdout": {"ok", "", "ok", 2},
		"only stderr": {"", "bad", title + "bad", 27},
		"both":        {"ok", "bad", "ok" + title + "bad", 29},
		"long stdout": {out, "", out[:2477] + o, 2500},
		"long stderr": {"ok", err, "ok" + title + err[:2451] + e, 2500},
		"stderr kept": {out, "bad", out[:2450] + o + title + "bad", 2500},
		"both long":   {out, err, out[:1215] + o + title + err[:1215] + e, 2500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := merged(tt.stdout, tt.stderr)
			g.Expect(got).To(Equal(tt.want))
			g.Expect(got).To(HaveLen(tt.length))
		})
	}
}
