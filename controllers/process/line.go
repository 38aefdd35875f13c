// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	protocol = "ssm-remediator/v1"
	// maxMessageBytes is more than a script prints.
	maxMessageBytes = 512
)

// line is one line of a script.
type line struct {
	kind   string
	values map[string]string
	// message is what follows msg=, without control characters.
	message string
	// whole tells that the line has msg=, which ends every line, so that it was not cut off.
	whole bool
}

// boundLine reads a line that begins with the protocol and the binding; ok is false for all others.
func boundLine(text, binding string) (l line, ok bool, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(text, "\r"), protocol+" "+binding+" ")
	if !ok {
		return line{}, false, nil
	}
	kind, rest, ok := strings.Cut(rest, " ")
	if !ok {
		// Cut off within the kind.
		return line{}, false, nil
	}
	l = line{kind: kind, values: map[string]string{}}
	for rest != "" {
		if message, found := strings.CutPrefix(rest, "msg="); found {
			l.message, l.whole = Printable(message, maxMessageBytes, ""), true
			return l, true, nil
		}
		var field string
		field, rest, _ = strings.Cut(rest, " ")
		key, value, found := strings.Cut(field, "=")
		if _, twice := l.values[key]; found && twice {
			return line{}, false, fmt.Errorf("reading the %s line: it has %s twice", kind, key)
		}
		l.values[key] = value
	}
	return l, true, nil
}

// number reads a value of up to 12 digits; a lone - means that the node does not know.
func (l line) number(key string) (n int64, known bool, err error) {
	value, ok := l.values[key]
	if value == "-" {
		return 0, false, nil
	}
	if !ok || len(value) > 12 || strings.Trim(value, "0123456789") != "" {
		return 0, false, fmt.Errorf("reading the %s line: %s is %q", l.kind, key, value)
	}
	n, err = strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("reading the %s line: %s: %w", l.kind, key, err)
	}
	return n, true, nil
}

func (l line) time() (time.Time, error) {
	n, known, err := l.number("time")
	if err != nil || !known {
		return time.Time{}, err
	}
	return time.Unix(n, 0).UTC(), nil
}

// Printable makes a text fit for a status and a terminal: valid UTF-8, only characters that can be printed, and those of
// allowed, and at most limit bytes.
func Printable(text string, limit int, allowed string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if !unicode.IsPrint(r) && !strings.ContainsRune(allowed, r) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
