// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxDocumentSize bounds what a command carries, in bytes.
const maxDocumentSize = 64 << 10

var (
	// documentReference is a parameter of the document.
	documentReference = regexp.MustCompile(`\{\{\s*([a-zA-Z0-9]+)\s*\}\}`)
	// storeReference is a parameter of Parameter Store that the service would resolve. There is none here.
	storeReference = regexp.MustCompile(`\{\{\s*ssm(-secure)?:[^}]*\}\}`)
)

// parameter is a Parameter that was checked.
type parameter struct {
	Parameter
	pattern *regexp.Regexp
}

func compileParameter(p Parameter) (parameter, error) {
	if !parameterName.MatchString(p.Name) {
		return parameter{}, fmt.Errorf("the parameter %q must match %s", p.Name, parameterName)
	}
	if p.Type != "" && p.Type != String && p.Type != StringList {
		return parameter{}, fmt.Errorf("the parameter %s is of type %s, which is not known here", p.Name, p.Type)
	}
	if p.Default != nil && len(p.Default) != 1 && p.Type != StringList {
		return parameter{}, fmt.Errorf("the parameter %s takes one value as its default", p.Name)
	}
	pattern, err := regexp.Compile(p.AllowedPattern)
	if err != nil {
		return parameter{}, fmt.Errorf("reading the pattern of the parameter %s: %w", p.Name, err)
	}
	p.Default = slices.Clone(p.Default)
	return parameter{Parameter: p, pattern: pattern}, nil
}

// values of the parameters of a document, by name.
type values map[string][]string

// values checks the parameters of a request, and adds the defaults of those that it has not.
func (c *content) values(given map[string][]string) (values, error) {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(c.parameters, func(p parameter) bool { return p.Name == name }) {
			return nil, errorf("InvalidParameters", "Parameter %s is not defined in the document.", name)
		}
		for _, value := range given[name] {
			size += len(value)
		}
	}
	all := maps.Clone(given)
	if all == nil {
		all = values{}
	}
	for i := range c.parameters {
		p := &c.parameters[i]
		if _, has := given[p.Name]; !has && p.Default != nil {
			all[p.Name] = p.Default
			continue
		}
		if err := p.check(given[p.Name]); err != nil {
			return nil, err
		}
	}
	if size > maxDocumentSize {
		return nil, errorf("MaxDocumentSizeExceeded", "The size of the document exceeds %d KB.", maxDocumentSize>>10)
	}
	return all, nil
}

// check checks what a request gives for a parameter.
func (p *parameter) check(given []string) error {
	switch {
	case len(given) == 0:
		return errorf("InvalidParameters", "Missing required parameter: %s.", p.Name)
	case len(given) > 1 && p.Type != StringList:
		return errorf("InvalidParameters", "Parameter %s takes one value.", p.Name)
	}
	for _, value := range given {
		if !p.pattern.MatchString(value) {
			return errorf("InvalidParameters", "Parameter %s failed to satisfy the pattern %s.", p.Name, p.pattern)
		}
		if found := storeReference.FindString(value); found != "" {
			return errorf("InvalidParameters", "Parameter %s used in %s does not exist.", found, p.Name)
		}
	}
	return nil
}

// expand puts the values into a text of the document.
func (c *content) expand(text string, all values) string {
	if match := documentReference.FindStringSubmatch(text); match != nil && match[0] == text {
		return strings.Join(all[match[1]], "\n")
	}
	return documentReference.ReplaceAllStringFunc(text, func(reference string) string {
		name := documentReference.FindStringSubmatch(reference)[1]
		if c.isList(name) {
			list, err := json.Marshal(all[name])
			if err != nil {
				panic("encoding a list of strings: " + err.Error())
			}
			return string(list)
		}
		return all[name][0]
	})
}

func (c *content) isList(name string) bool {
	return slices.ContainsFunc(c.parameters, func(p parameter) bool { return p.Name == name && p.Type == StringList })
}
