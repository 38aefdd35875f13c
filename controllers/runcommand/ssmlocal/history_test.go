// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestWalkLooksAtNothingElse has 1,000 commands, one a minute, and counts what a list looks at.
func TestWalkLooksAtNothingElse(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	clock := clocktesting.NewFakeClock(start)
	s := New(Options{Clock: clock, ReadLag: new(time.Duration(0))})
	var ids []string
	for range 1000 {
		answer, err := s.sendCommand(&sendCommandRequest{
			DocumentName: RunShellScript, Parameters: map[string][]string{"commands": {"true"}},
			Targets: []target{{Key: "tag:Role", Values: []string{"web"}}},
		}, Fault{})
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		ids = append(ids, answer.(map[string]wireCommand)["Command"].CommandID)
		clock.Step(time.Minute)
		s.lock()()
	}
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	tests := map[string]struct {
		id      string
		sel     selection
		from    position
		reverse bool
		// first and last are the indexes of the first and last command that are looked at; none of both is -1.
		first, last int
	}{
		"all":                    {"", selection{}, position{}, false, 999, 0},
		"reversed":               {"", selection{}, position{}, true, 0, 999},
		"one":                    {ids[500], selection{}, position{}, false, 500, 500},
		"unknown":                {"x", selection{}, position{}, false, -1, -1},
		"after, inclusive":       {"", selection{after: at(990)}, position{}, false, 999, 990},
		"before, exclusive":      {"", selection{before: at(10)}, position{}, false, 9, 0},
		"between":                {"", selection{after: at(500), before: at(510)}, position{}, false, 509, 500},
		"an empty time":          {"", selection{after: at(510), before: at(500)}, position{}, false, -1, -1},
		"page":                   {"", selection{}, position{seq: 11}, false, 10, 0},
		"page, reversed":         {"", selection{}, position{seq: 991}, true, 990, 999},
		"page of a time":         {"", selection{after: at(500)}, position{seq: 511}, false, 510, 500},
		"page that is forgotten": {"", selection{}, position{seq: 2000}, false, 999, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			looked := 0
			first, last := int64(-1), int64(-1)
			for c := range s.walk(tt.id, tt.sel, tt.from, tt.reverse) {
				if looked == 0 {
					first = c.seq - 1
				}
				last = c.seq - 1
				looked++
			}
			g.Expect(fmt.Sprint(first, " ", last)).To(Equal(fmt.Sprint(tt.first, " ", tt.last)))
			if tt.first >= 0 {
				g.Expect(looked).To(Equal(max(tt.first, tt.last) - min(tt.first, tt.last) + 1))
			}
		})
	}
}
