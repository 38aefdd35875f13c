// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Patterns of Systems Manager.
var (
	instanceID     = regexp.MustCompile(`(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`)
	documentName   = regexp.MustCompile(`^[a-zA-Z0-9_\-.:/]{3,128}$`)
	docVersion     = regexp.MustCompile(`([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`)
	maxConcurrency = regexp.MustCompile(`^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$`)
	maxErrors      = regexp.MustCompile(`^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$`)
	targetKey      = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=\-@]*$|resource-groups:ResourceTypeFilters|resource-groups:Name`)
	logGroupName   = regexp.MustCompile(`[\.\-_/#A-Za-z0-9]+`)
)

// violations are the constraints that the members of a request break.
type violations []string

// err is a ValidationException in AWS's words, or nil.
func (v violations) err() error {
	switch len(v) {
	case 0:
		return nil
	case 1:
		return errorf("ValidationException", "1 validation error detected: %s", v[0])
	default:
		return errorf("ValidationException", "%d validation errors detected: %s", len(v), strings.Join(v, "; "))
	}
}

func (v *violations) add(member string, value any, constraint string) {
	*v = append(*v, fmt.Sprintf("Value '%v' at '%s' failed to satisfy constraint: Member must %s", value, member, constraint))
}

// length bounds a string, in characters.
func (v *violations) length(member, value string, low, high int) {
	switch n := utf8.RuneCountInString(value); {
	case n < low:
		v.add(member, value, fmt.Sprintf("have length greater than or equal to %d", low))
	case n > high:
		v.add(member, value, fmt.Sprintf("have length less than or equal to %d", high))
	}
}

// size bounds a list.
func size[T any](v *violations, member string, list []T, low, high int) {
	switch n := len(list); {
	case n < low:
		v.add(member, list, fmt.Sprintf("have length greater than or equal to %d", low))
	case n > high:
		v.add(member, list, fmt.Sprintf("have length less than or equal to %d", high))
	}
}

// between bounds a number, where it is given.
func (v *violations) between(member string, value *int, low, high int) {
	switch {
	case value == nil:
	case *value < low:
		v.add(member, *value, fmt.Sprintf("have value greater than or equal to %d", low))
	case *value > high:
		v.add(member, *value, fmt.Sprintf("have value less than or equal to %d", high))
	}
}

func (v *violations) pattern(member, value string, pattern *regexp.Regexp) {
	if !pattern.MatchString(value) {
		v.add(member, value, "satisfy regular expression pattern: "+pattern.String())
	}
}

// oneOf checks an enumeration.
func (v *violations) oneOf(member, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.add(member, value, "satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
	}
}

// commandID checks the form of a command id.
func (v *violations) commandID(value string) {
	v.length("commandId", value, 36, 36)
}

// instance checks the form of an instance id.
func (v *violations) instance(member, value string) {
	v.pattern(member, value, instanceID)
}

// validate checks the members of a SendCommand by themselves.
func (r *sendCommandRequest) validate() error {
	var v violations
	size(&v, "instanceIds", r.InstanceIds, 0, 50)
	for _, id := range r.InstanceIds {
		v.instance("instanceIds", id)
	}
	size(&v, "targets", r.Targets, 0, 5)
	for _, t := range r.Targets {
		v.length("targets.key", t.Key, 1, 163)
		v.pattern("targets.key", t.Key, targetKey)
		size(&v, "targets.values", t.Values, 0, 50)
	}
	v.pattern("documentName", r.DocumentName, documentName)
	if r.DocumentVersion != "" {
		v.pattern("documentVersion", r.DocumentVersion, docVersion)
	}
	v.between("timeoutSeconds", r.TimeoutSeconds, 30, 2592000)
	v.length("comment", r.Comment, 0, 100)
	r.validateControls(&v)
	r.validateOutput(&v)
	return v.err()
}

func (r *sendCommandRequest) validateControls(v *violations) {
	if r.MaxConcurrency != nil {
		v.length("maxConcurrency", *r.MaxConcurrency, 1, 7)
		v.pattern("maxConcurrency", *r.MaxConcurrency, maxConcurrency)
	}
	if r.MaxErrors != nil {
		v.length("maxErrors", *r.MaxErrors, 1, 7)
		v.pattern("maxErrors", *r.MaxErrors, maxErrors)
	}
}

func (r *sendCommandRequest) validateOutput(v *violations) {
	if r.OutputS3BucketName != nil {
		v.length("outputS3BucketName", *r.OutputS3BucketName, 3, 63)
	}
	if r.OutputS3KeyPrefix != nil {
		v.length("outputS3KeyPrefix", *r.OutputS3KeyPrefix, 0, 500)
	}
	if r.CloudWatchOutputConfig != nil && r.CloudWatchOutputConfig.CloudWatchLogGroupName != "" {
		name := r.CloudWatchOutputConfig.CloudWatchLogGroupName
		v.length("cloudWatchOutputConfig.cloudWatchLogGroupName", name, 1, 512)
		v.pattern("cloudWatchOutputConfig.cloudWatchLogGroupName", name, logGroupName)
	}
}
