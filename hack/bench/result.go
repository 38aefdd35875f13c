// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// result is what a row has come to.
type result struct {
	row    *row
	factor int
	// steady, incidents and naive are nil for rows without that phase.
	steady    *steadyResult
	incidents *incidentResult
	naive     *naiveResult
	facts     []fact
	err       error
	took      time.Duration
}

// fact is something that was measured, and what it has to be, if anything.
type fact struct {
	what, got, must string
	holds           bool
	basis           basis
}

// basis is what a fact rests on.
type basis int

const (
	// counted facts do not depend on how fast the machine is.
	counted basis = iota
	// timed facts do.
	timed
)

// tell adds a fact that may be as it is.
func (res *result) tell(what, format string, args ...any) {
	res.facts = append(res.facts, fact{what: what, got: fmt.Sprintf(format, args...), holds: true})
}

// atMost adds a number that must not be above a limit.
func (res *result) atMost(what string, got, limit float64, unit string, b basis) {
	res.facts = append(res.facts, fact{
		what: what, got: strings.TrimSpace(figure(got) + " " + unit), must: "at most " + figure(limit), holds: got <= limit, basis: b,
	})
}

// atLeast adds a number that must not be below a limit.
func (res *result) atLeast(what string, got, limit float64, unit string, b basis) {
	res.facts = append(res.facts, fact{
		what: what, got: strings.TrimSpace(figure(got) + " " + unit), must: "at least " + figure(limit), holds: got >= limit, basis: b,
	})
}

// mustBe adds something that has to be so.
func (res *result) mustBe(what string, is bool, got string, b basis) {
	if !is {
		got = "no, " + got
	}
	res.facts = append(res.facts, fact{what: what, got: got, must: "yes", holds: is, basis: b})
}

// failures are what does not hold, as far as it is judged.
func (res *result) failures(onlyCounted bool) []string {
	var failures []string
	if res.err != nil {
		failures = append(failures, res.err.Error())
	}
	for _, f := range res.facts {
		if !f.holds && (f.basis == counted || !onlyCounted) {
			failures = append(failures, fmt.Sprintf("%s: %s, must be %s", f.what, f.got, f.must))
		}
	}
	return failures
}

// figure is a number with three digits that mean something, or all of a large one.
func figure(x float64) string {
	switch {
	case x >= 99.95:
		return grouped(strconv.FormatFloat(x, 'f', 0, 64))
	case x >= 9.995:
		return trimmed(strconv.FormatFloat(x, 'f', 1, 64))
	}
	return trimmed(strconv.FormatFloat(x, 'f', 2, 64))
}

// trimmed is a number without noughts behind the point.
func trimmed(digits string) string {
	return strings.TrimSuffix(strings.TrimRight(digits, "0"), ".")
}

// grouped has a comma before every three digits.
func grouped(digits string) string {
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// seconds is a time in seconds.
func seconds(d time.Duration) string { return figure(d.Seconds()) }

// megabytes is a size in memory.
func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
