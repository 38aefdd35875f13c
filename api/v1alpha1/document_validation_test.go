// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"
)

const (
	aParameter  = `{"name":"p%d","values":["v"]}`
	badDocument = "must be the name or the ARN of a document: letters, digits and any of _.:/-"
	badVersion  = "must be the number of a version, $DEFAULT or $LATEST"
)

// document is the merge patch that gives a policy a single step, which runs a document.
func document(fields string) string { return ladder(`[{"document":` + fields + `}]`) }

// parameters is that of a document with these parameters.
func parameters(list string) string {
	return document(`{"name":"web-repair","parameters":` + list + `}`)
}

func TestDocumentsAccepted(t *testing.T) {
	acceptAll(t, policy, map[string]string{
		"the shortest name": document(`{"name":"web"}`),
		"the longest name":  document(`{"name":` + quoted(128) + `}`),
		"all characters":    document(`{"name":"Web_repair.v1-final"}`),
		"one of AWS":        document(`{"name":"AWS-RunAnsiblePlaybook"}`),
		"a shared one":      document(`{"name":"arn:aws-us-gov:ssm:us-gov-west-1:123456789012:document/web-repair"}`),

		"version 1":           document(`{"name":"web-repair","version":"1"}`),
		"version of 10":       document(`{"name":"web-repair","version":"1234567890"}`),
		"the default version": document(`{"name":"web-repair","version":"$DEFAULT"}`),
		"the latest version":  document(`{"name":"web-repair","version":"$LATEST"}`),

		"16 parameters":        parameters(list(16, aParameter)),
		"the longest one":      parameters(`[{"name":` + quoted(128) + `,"values":[` + quoted(2048) + `]}]`),
		"16 values, some same": parameters(`[{"name":"p","values":` + list(16, `"v%.0d"`) + `}]`),
		"an empty value":       parameters(`[{"name":"p","values":[""]}]`),
		"one of the store":     parameters(`[{"name":"p","values":["{{ssm:/web/mode}}"]}]`),
	})
}

var rejectedDocuments = map[string]refusal{
	"an empty one":     {document(`{}`), "spec.recovery.steps[0].document.name", "Required value"},
	"one of nothing":   {document(`null`), "spec.recovery.steps[0]", oneKind},
	"only its name":    {document(`"web-repair"`), "spec.recovery.steps[0].document", "must be of type object"},
	"a setting":        {document(`{"name":"web-repair","hash":"a"}`), "", `unknown field "spec.recovery.steps[0].document.hash"`},
	"an empty name":    {document(`{"name":""}`), "spec.recovery.steps[0].document.name", badDocument},
	"a short name":     {document(`{"name":"ab"}`), "spec.recovery.steps[0].document.name", "should be at least 3 chars long"},
	"a long name":      {document(`{"name":` + quoted(129) + `}`), "spec.recovery.steps[0].document.name", "may not be more than 128 bytes"},
	"a name in words":  {document(`{"name":"web repair"}`), "spec.recovery.steps[0].document.name", badDocument},
	"a newline behind": {document(`{"name":"web-repair\n"}`), "spec.recovery.steps[0].document.name", badDocument},

	"version 0":        {document(`{"name":"web-repair","version":"0"}`), "spec.recovery.steps[0].document.version", badVersion},
	"version 01":       {document(`{"name":"web-repair","version":"01"}`), "spec.recovery.steps[0].document.version", badVersion},
	"version v1":       {document(`{"name":"web-repair","version":"v1"}`), "spec.recovery.steps[0].document.version", badVersion},
	"an empty version": {document(`{"name":"web-repair","version":""}`), "spec.recovery.steps[0].document.version", badVersion},
	"latest in words":  {document(`{"name":"web-repair","version":"latest"}`), "spec.recovery.steps[0].document.version", badVersion},
	"a long version": {document(`{"name":"web-repair","version":"12345678901"}`), "spec.recovery.steps[0].document.version",
		"may not be more than 10 bytes"},
	// What YAML makes of `version: 1`.
	"a version as a number": {document(`{"name":"web-repair","version":1}`), "spec.recovery.steps[0].document.version", "must be of type string"},

	"no parameter":  {parameters(`[]`), "spec.recovery.steps[0].document.parameters", "should have at least 1 items"},
	"17 parameters": {parameters(list(17, aParameter)), "spec.recovery.steps[0].document.parameters", "must have at most 16 items"},
	"a parameter twice": {parameters(`[{"name":"p","values":["v"]},{"name":"p","values":["w"]}]`),
		"spec.recovery.steps[0].document.parameters[1]", "Duplicate value"},
	"more in all than a Remediation holds": {parameters(`[{"name":"p","values":` + list(9, `"`+strings.Repeat("a", 1820)+`%d"`) + `}]`),
		"spec.recovery.steps[0].document.parameters",
		"must have at most 16384 characters in all, because each Remediation holds a copy; put more into the document, or into a parameter of Parameter Store"},
	"them in a row": {parameters(`"p=v"`), "spec.recovery.steps[0].document.parameters", "must be of type array"},
	"one of no name": {parameters(`[{"values":["v"]}]`), "spec.recovery.steps[0].document.parameters[0].name",
		"Required value"},
	"one of an empty name": {parameters(`[{"name":"","values":["v"]}]`), "spec.recovery.steps[0].document.parameters[0].name",
		"should be at least 1 chars long"},
	"one of a long name": {parameters(`[{"name":` + quoted(129) + `,"values":["v"]}]`),
		"spec.recovery.steps[0].document.parameters[0].name", "may not be more than 128 bytes"},
	"one of no values": {parameters(`[{"name":"p"}]`), "spec.recovery.steps[0].document.parameters[0].values", "Required value"},
	"one of empty values": {parameters(`[{"name":"p","values":[]}]`), "spec.recovery.steps[0].document.parameters[0].values",
		"should have at least 1 items"},
	"one of 17 values": {parameters(`[{"name":"p","values":` + list(17, aValue) + `}]`),
		"spec.recovery.steps[0].document.parameters[0].values", "must have at most 16 items"},
	"one of a long value": {parameters(`[{"name":"p","values":["v",` + quoted(2049) + `]}]`),
		"spec.recovery.steps[0].document.parameters[0].values[1]", "may not be more than 2048 bytes"},
}

func TestDocumentsRejected(t *testing.T) { rejectAll(t, policy, rejectedDocuments) }
