// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// MaxScriptBytes is the size of the largest script that is sent. SendCommand accepts 64 KB for document and parameters
// together, and escapes line breaks and quotes.
const MaxScriptBytes = 60000

//go:embed scripts/*.sh
var sources embed.FS

// script puts a script together: a first line that tells what it is, parameters, files.
type script struct {
	marker     string
	parameters strings.Builder
	files      []string
}

func (s *script) add(files ...string) {
	s.files = append(s.files, files...)
}

// set assigns a parameter. Within single quotes a POSIX shell leaves everything alone but the single quote itself.
func (s *script) set(name, value string) {
	fmt.Fprintf(&s.parameters, "%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
}

func (s *script) setFlag(name string, on bool) {
	value := ""
	if on {
		value = "1"
	}
	s.set(name, value)
}

func (s *script) setSeconds(name string, d time.Duration) {
	s.set(name, strconv.FormatInt(int64(seconds(d)/time.Second), 10))
}

// render returns the script, or why it must not be sent.
func (s *script) render() (string, error) {
	var text strings.Builder
	text.WriteString(s.marker + "\n" + s.parameters.String())
	for _, file := range s.files {
		source, err := sources.ReadFile("scripts/" + file)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", file, err)
		}
		text.WriteString(compact(string(source)))
	}
	rendered := text.String()
	switch {
	case strings.Contains(rendered, "{{"):
		return "", errors.New("checking for '{{': Systems Manager would resolve it as a parameter")
	case strings.ContainsRune(rendered, 0):
		return "", errors.New("checking for NUL: no shell can be given that character")
	case !utf8.ValidString(rendered):
		return "", errors.New("checking the encoding: the text is not valid UTF-8")
	case len(rendered) > MaxScriptBytes:
		return "", fmt.Errorf("checking the size: %d bytes are more than the %d that can be sent; put the command into a file "+
			"on the node", len(rendered), MaxScriptBytes)
	}
	return rendered, nil
}

// compact leaves out blank lines, lines that are comments, and indentation: a third of what travels with every probe. No
// string in the sources spans lines that begin with a blank or a #.
func compact(source string) string {
	var text strings.Builder
	for line := range strings.Lines(source) {
		line = strings.TrimLeft(line, " ")
		if line != "\n" && !strings.HasPrefix(line, "#") {
			text.WriteString(line)
		}
	}
	return text.String()
}

func checkCommand(command v1alpha1.ShellCommand) error {
	if strings.TrimSpace(string(command)) == "" {
		return errors.New("the command is empty")
	}
	return nil
}

// seconds rounds up to whole seconds, which is all that a portable sleep knows.
func seconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
