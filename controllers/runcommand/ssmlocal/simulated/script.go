// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// First lines of the scripts of controllers/process. A verify script is a probe that was given a uid.
const (
	ours           = "# ssm-remediator "
	probeMarker    = ours + "probe"
	watchMarker    = ours + "watch"
	recoveryMarker = ours + "recovery"
)

// parameterPrefix begins the names of the assignments in front of a script.
const parameterPrefix = "SR_"

// script is one of ours: which, and what it was given.
type script struct {
	recovery   bool
	watch      bool
	parameters map[string]string
}

// isOurs tells whether a script is one of ours, and not one that a document of a user has.
func isOurs(text string) bool {
	return strings.HasPrefix(text, ours)
}

// parse reads the head of a script. The error is that of a text that controllers/process has not made.
func parse(text string) (script, error) {
	marker, rest, _ := strings.Cut(text, "\n")
	s := script{recovery: marker == recoveryMarker, watch: marker == watchMarker}
	if !s.recovery && !s.watch && marker != probeMarker {
		return script{}, fmt.Errorf("reading the script: its first line is %.40q", marker)
	}
	s.parameters = make(map[string]string, 16)
	for strings.HasPrefix(rest, parameterPrefix) {
		name, word, found := strings.Cut(rest, "=")
		value, after, err := unquote(word)
		if !found {
			return script{}, fmt.Errorf("reading the script: %.40q is no assignment", rest)
		}
		if err != nil {
			return script{}, fmt.Errorf("reading the script: %.40q: %w", name, err)
		}
		s.parameters[name], rest = value, after
	}
	return s, nil
}

// unquote reads a word as a POSIX shell does, as far as our scripts have them: parts in single quotes, and characters after
// a backslash. The word ends with its line, which rest is behind. The value is a copy, so that one that is kept does not
// hold on to a whole script.
func unquote(text string) (value, rest string, err error) {
	var word strings.Builder
	for text != "" {
		switch text[0] {
		case '\n':
			return word.String(), text[1:], nil
		case '\'':
			quoted, after, closed := strings.Cut(text[1:], "'")
			if !closed {
				return "", "", errors.New("a quote is not closed")
			}
			word.WriteString(quoted)
			text = after
		case '\\':
			if len(text) < 2 || text[1] == '\n' {
				return "", "", errors.New("a backslash is the last character of its line")
			}
			word.WriteByte(text[1])
			text = text[2:]
		default:
			return "", "", fmt.Errorf("%.20q is not quoted", text)
		}
	}
	return word.String(), "", nil
}

// has tells whether a parameter is there and not empty.
func (s script) has(name string) bool {
	return s.parameters[name] != ""
}

// number is the value of a parameter that the script calculates with; like a shell, 0 for one that is empty.
func (s script) number(name string) int64 {
	n, _ := strconv.ParseInt(s.parameters[name], 10, 64)
	return n
}

func (s script) seconds(name string) time.Duration {
	return time.Duration(s.number(name)) * time.Second
}
