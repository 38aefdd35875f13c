// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// RunShellScript is AWS's own document, which every server has: one step of that name, which runs the parameter commands.
const RunShellScript = "AWS-RunShellScript"

// ParameterType is the type of a parameter of a document.
type ParameterType string

const (
	// String is a parameter with one value.
	String ParameterType = "String"
	// StringList is a parameter with any number of values.
	StringList ParameterType = "StringList"
)

// Document is a document of type Command.
type Document struct {
	// Name is 3 to 128 letters, digits and any of _-. and is what a command names, by itself or at the end of an ARN.
	Name string
	// Versions are numbered from 1.
	Versions []DocumentVersion
	// DefaultVersion is the number of the version that runs when a command names none. Defaults to 1: an update of a document
	// does not become its default by itself.
	DefaultVersion int
}

// DocumentVersion is the content of a document.
type DocumentVersion struct {
	Parameters []Parameter
	// Steps run one after the other, also after one that failed. Exit statuses 168 and 169 skip the rest.
	Steps []Step
}

// Parameter is a parameter of a document.
type Parameter struct {
	// Name is letters and digits.
	Name string
	// Type defaults to String.
	Type ParameterType
	// Default is the value when a command has none. Nil makes the parameter required.
	Default []string
	// AllowedPattern is a regular expression that every value has to match. Empty allows all.
	AllowedPattern string
}

// Step is one aws:runShellScript of a document. References to parameters, as {{ Name }}, are replaced in all of its texts as
// the agent does it: a text that is nothing but a reference becomes the value, of a list its lines; within a text a list
// becomes JSON. A value is not looked at for references again.
type Step struct {
	// Name is what the results of the step are listed by.
	Name   string
	Script string
	// WorkingDirectory defaults to /.
	WorkingDirectory string
	// TimeoutSeconds defaults to 3600, and so does anything under 5.
	TimeoutSeconds string
}

var (
	createdName      = regexp.MustCompile(`^[a-zA-Z0-9_\-.]{3,128}$`)
	parameterName    = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
	executionTimeout = `^(([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800))$`
)

// awsRunShellScript is the content of RunShellScript.
func awsRunShellScript() Document {
	return Document{Name: RunShellScript, Versions: []DocumentVersion{{
		Parameters: []Parameter{
			{Name: "commands", Type: StringList},
			{Name: "workingDirectory", Default: []string{""}},
			{Name: "executionTimeout", Default: []string{"3600"}, AllowedPattern: executionTimeout},
		},
		Steps: []Step{{
			Name: awsRunShellScriptStep, Script: "{{ commands }}",
			WorkingDirectory: "{{ workingDirectory }}", TimeoutSeconds: "{{ executionTimeout }}",
		}},
	}}}
}

// awsRunShellScriptStep is the name of the one step, as documents of the old schema have it.
const awsRunShellScriptStep = "aws:runShellScript"

// AddDocument adds a document. It fails when the name is malformed or taken, and when what AWS refuses in the content of a
// document is in it.
func (s *Server) AddDocument(d Document) error {
	if !createdName.MatchString(d.Name) {
		return fmt.Errorf("adding document %q: the name must match %s", d.Name, createdName)
	}
	known, err := compile(d)
	if err != nil {
		return fmt.Errorf("adding document %s: %w", d.Name, err)
	}
	defer s.lock()()
	if _, taken := s.documents[d.Name]; taken {
		return fmt.Errorf("adding document %s: the name is taken", d.Name)
	}
	s.documents[d.Name] = known
	return nil
}

// document is a Document that was checked.
type document struct {
	name     string
	versions []content
	standard int
}

// content is a DocumentVersion that was checked.
type content struct {
	parameters []parameter
	steps      []Step
}

func compile(d Document) (*document, error) {
	known := &document{name: d.Name, standard: max(d.DefaultVersion, 1)}
	if known.standard > len(d.Versions) {
		return nil, fmt.Errorf("it has no version %d", known.standard)
	}
	for _, v := range d.Versions {
		c, err := compileContent(v)
		if err != nil {
			return nil, err
		}
		known.versions = append(known.versions, c)
	}
	return known, nil
}

func compileContent(v DocumentVersion) (content, error) {
	c := content{steps: slices.Clone(v.Steps)}
	for _, p := range v.Parameters {
		compiled, err := compileParameter(p)
		if err != nil {
			return content{}, err
		}
		c.parameters = append(c.parameters, compiled)
	}
	if len(c.steps) == 0 {
		return content{}, fmt.Errorf("it has no steps")
	}
	names := map[string]bool{}
	for _, step := range c.steps {
		if step.Name == "" || names[step.Name] {
			return content{}, fmt.Errorf("step %q needs a name of its own", step.Name)
		}
		names[step.Name] = true
		if err := c.checkReferences(step); err != nil {
			return content{}, err
		}
	}
	return c, nil
}

// checkReferences refuses what would run with its references in it.
func (c content) checkReferences(step Step) error {
	for _, text := range []string{step.Script, step.WorkingDirectory, step.TimeoutSeconds} {
		for _, match := range documentReference.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(c.parameters, func(p parameter) bool { return p.Name == match[1] }) {
				return fmt.Errorf("step %s refers to the parameter %s, which is not defined", step.Name, match[1])
			}
		}
		if found := storeReference.FindString(text); found != "" {
			return fmt.Errorf("step %s refers to %s, and there is no Parameter Store here", step.Name, found)
		}
	}
	return nil
}

// version finds the content that a request asks for, or nil.
func (d *document) version(asked string) *content {
	number := d.standard
	switch asked {
	case "", "$DEFAULT":
	case "$LATEST":
		number = len(d.versions)
	default:
		var err error
		if number, err = strconv.Atoi(asked); err != nil || number < 1 || number > len(d.versions) {
			return nil
		}
	}
	return &d.versions[number-1]
}

// documentNameOf is the name of a document without the rest of an ARN.
func documentNameOf(name string) string {
	if i := strings.LastIndex(name, ":document/"); strings.HasPrefix(name, "arn:") && i >= 0 {
		return name[i+len(":document/"):]
	}
	return name
}
