// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"strconv"
	"time"
)

const (
	defaultExecutionTimeout = 3600 * time.Second
	// minExecutionTimeout is what the agent takes seriously; anything less it resets to the default.
	minExecutionTimeout = 5
)

// program is what a command runs: a document with its parameters put in.
type program struct {
	document   string
	parameters values
	steps      []scriptStep
}

// scriptStep is a step of a program.
type scriptStep struct {
	name             string
	script           string
	workingDirectory string
	timeout          time.Duration
}

// program finds the document of a request and puts the parameters in.
func (s *Server) program(r *sendCommandRequest) (program, error) {
	d := s.documents[documentNameOf(r.DocumentName)]
	if d == nil {
		return program{}, errorf("InvalidDocument", "Document with name %s does not exist.", r.DocumentName)
	}
	c := d.version(r.DocumentVersion)
	if c == nil {
		return program{}, errorf("InvalidDocumentVersion", "Document version %s of %s does not exist.", r.DocumentVersion, d.name)
	}
	all, err := c.values(r.Parameters)
	if err != nil {
		return program{}, err
	}
	p := program{document: d.name, parameters: all, steps: make([]scriptStep, len(c.steps))}
	for i, step := range c.steps {
		p.steps[i] = scriptStep{
			name:             step.Name,
			script:           c.expand(step.Script, all),
			workingDirectory: c.expand(step.WorkingDirectory, all),
			timeout:          timeoutOf(c.expand(step.TimeoutSeconds, all)),
		}
	}
	return p, nil
}

// timeout is the longest that the steps may take together.
func (p *program) timeout() time.Duration {
	var sum time.Duration
	for _, step := range p.steps {
		sum += step.timeout
	}
	return sum
}

func timeoutOf(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < minExecutionTimeout {
		return defaultExecutionTimeout
	}
	return time.Duration(seconds) * time.Second
}
