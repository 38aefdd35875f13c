// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// runShellScript is the one document that there is.
const runShellScript = "AWS-RunShellScript"

const (
	defaultExecutionTimeout = 3600 * time.Second
	// minExecutionTimeout is what the agent takes seriously; anything less it resets to the default.
	minExecutionTimeout = 5
	// maxDocumentSize bounds what a command carries, in bytes.
	maxDocumentSize = 64 << 10
)

var (
	// executionTimeout is the document's allowedPattern: 1 to 172800.
	executionTimeout = regexp.MustCompile(
		`^(([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800))$`)
	// reference is a parameter of Parameter Store that the service would resolve.
	reference = regexp.MustCompile(`\{\{\s*ssm(-secure)?:[^}]*\}\}`)
)

// parse checks document and parameters, and makes the script of them.
func (r *sendCommandRequest) parse() (script, error) {
	name := r.DocumentName
	if i := strings.LastIndex(name, ":document/"); strings.HasPrefix(name, "arn:") && i >= 0 {
		name = name[i+len(":document/"):]
	}
	if name != runShellScript {
		return script{}, errorf("InvalidDocument", "Document with name %s does not exist.", r.DocumentName)
	}
	switch r.DocumentVersion {
	case "", "$DEFAULT", "$LATEST", "1":
	default:
		return script{}, errorf("InvalidDocumentVersion", "Document version %s of %s does not exist.", r.DocumentVersion, name)
	}
	if err := checkParameters(r.Parameters); err != nil {
		return script{}, err
	}
	seconds, err := strconv.Atoi(single(r.Parameters, "executionTimeout"))
	timeout := time.Duration(seconds) * time.Second
	if err != nil || seconds < minExecutionTimeout {
		timeout = defaultExecutionTimeout
	}
	return script{
		text:             strings.Join(r.Parameters["commands"], "\n"),
		workingDirectory: single(r.Parameters, "workingDirectory"),
		timeout:          timeout,
	}, nil
}

// single is the value of a parameter that has one, or empty.
func single(parameters map[string][]string, name string) string {
	if values := parameters[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

func checkParameters(parameters map[string][]string) error {
	total := 0
	for name, values := range parameters {
		if err := checkParameter(name, values); err != nil {
			return err
		}
		for _, value := range values {
			total += len(value)
			if ref := reference.FindString(value); ref != "" {
				return errorf("InvalidParameters", "Parameter %s used in %s does not exist.", ref, name)
			}
		}
	}
	if len(parameters["commands"]) == 0 {
		return errorf("InvalidParameters", "Missing required parameter: commands.")
	}
	if total > maxDocumentSize {
		return errorf("MaxDocumentSizeExceeded", "The size of the document exceeds %d KB.", maxDocumentSize>>10)
	}
	return nil
}

func checkParameter(name string, values []string) error {
	switch name {
	case "commands":
		return nil
	case "workingDirectory", "executionTimeout":
	default:
		return errorf("InvalidParameters", "Parameter %s is not defined in the document.", name)
	}
	if len(values) != 1 {
		return errorf("InvalidParameters", "Parameter %s takes one value.", name)
	}
	if name == "executionTimeout" && !executionTimeout.MatchString(values[0]) {
		return errorf("InvalidParameters", "Parameter %s failed to satisfy the pattern %s.", name, executionTimeout)
	}
	return nil
}
