// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"
)

const (
	aStep        = `{"command":"step %d"}`
	aCommand     = `"show %d"`
	oneKind      = "say what to do: set exactly one of command, document and reboot (written as reboot: {})"
	noCommand    = "workingDirectory goes with command; remove it or set command"
	rebootEnds   = "a reboot ends when the node is up again: set verifySeconds instead of timeoutSeconds"
	longEvidence = "each must be at most 1024 characters; put more into a script on the node and call that"
)

// ladder is the merge patch that gives a policy these steps.
func ladder(steps string) string { return `{"spec":{"recovery":{"steps":` + steps + `}}}` }

// evidence is the merge patch that gives a policy these commands to ask for evidence.
func evidence(commands string) string { return `{"spec":{"recovery":{"evidence":` + commands + `}}}` }

func TestStepsAccepted(t *testing.T) {
	acceptAll(t, policy, map[string]string{
		"8 steps":       ladder(list(8, aStep)),
		"smallest":      `{"spec":{"recovery":{"steps":[{"command":"a","timeoutSeconds":1,"verifySeconds":0}],"stableSeconds":1}}}`,
		"largest":       `{"spec":{"recovery":{"steps":[{"command":"a","timeoutSeconds":3600,"verifySeconds":3600}],"stableSeconds":604800}}}`,
		"a directory":   ladder(`[{"command":"./a","workingDirectory":"/opt/a"}]`),
		"each kind":     ladder(`[{"command":"a"},{"document":{"name":"web-repair"}},{"reboot":{}}]`),
		"only reboots":  ladder(list(8, `{"reboot":{},"verifySeconds":%d}`)),
		"a patient one": ladder(`[{"reboot":{},"verifySeconds":3600}]`),
		"a document's":  ladder(`[{"document":{"name":"web-repair"},"timeoutSeconds":3600,"verifySeconds":0}]`),
		"4 of evidence": evidence(list(4, aCommand)),
		"long evidence": evidence(`[` + quoted(1024) + `]`),
		"long umlauts":  evidence(`["` + strings.Repeat("ü", 1024) + `"]`),
	})
}

var rejectedSteps = map[string]refusal{
	"no recovery":  {`{"spec":{"recovery":null}}`, "spec.recovery", "Required value"},
	"no steps":     {ladder(`null`), "spec.recovery.steps", "Required value"},
	"empty steps":  {ladder(`[]`), "spec.recovery.steps", "should have at least 1 items"},
	"9 steps":      {ladder(list(9, aStep)), "spec.recovery.steps", "must have at most 8 items"},
	"an empty one": {ladder(`[{}]`), "spec.recovery.steps[0]", oneKind},
	"only times":   {ladder(`[{"command":"a"},{"timeoutSeconds":60}]`), "spec.recovery.steps[1]", oneKind},

	"a command and a document": {ladder(`[{"command":"a","document":{"name":"web-repair"}}]`), "spec.recovery.steps[0]", oneKind},
	"a command and a reboot":   {ladder(`[{"command":"a","reboot":{}}]`), "spec.recovery.steps[0]", oneKind},
	"a document and a reboot":  {ladder(`[{"document":{"name":"web-repair"},"reboot":{}}]`), "spec.recovery.steps[0]", oneKind},
	"all kinds":                {ladder(`[{"command":"a","document":{"name":"web-repair"},"reboot":{}}]`), "spec.recovery.steps[0]", oneKind},
	"an empty command beside":  {ladder(`[{"command":"","reboot":{}}]`), "spec.recovery.steps[0]", oneKind},

	"an empty command": {ladder(`[{"command":""}]`), "spec.recovery.steps[0].command", "should be at least 1 chars long"},
	"a blank command":  {ladder(`[{"command":"  "}]`), "spec.recovery.steps[0].command", blank},
	"braces":           {ladder(`[{"command":"{{ssm:a}}"}]`), "spec.recovery.steps[0].command", braces},
	"a NUL":            {ladder(`[{"command":"a\u0000"}]`), "spec.recovery.steps[0].command", nul},
	"a step of 8193":   {ladder(`[{"command":` + quoted(8193) + `}]`), "spec.recovery.steps[0].command", "may not be more than 8192 bytes"},

	"a home directory":       {ladder(`[{"command":"a","workingDirectory":"~/bin"}]`), "spec.recovery.steps[0].workingDirectory", relative},
	"only a directory":       {ladder(`[{"workingDirectory":"/opt"}]`), "spec.recovery.steps[0]", noCommand},
	"a document's directory": {ladder(`[{"document":{"name":"web-repair"},"workingDirectory":"/opt"}]`), "spec.recovery.steps[0]", noCommand},
	"a reboot's directory":   {ladder(`[{"reboot":{},"workingDirectory":"/opt"}]`), "spec.recovery.steps[0]", noCommand},

	// What YAML makes of `reboot:` with nothing behind it: to the API server it is not there.
	"a reboot of nothing":      {ladder(`[{"reboot":null}]`), "spec.recovery.steps[0]", oneKind},
	"a reboot in one word":     {ladder(`[{"reboot":true}]`), "spec.recovery.steps[0].reboot", "must be of type object"},
	"a reboot with a setting":  {ladder(`[{"reboot":{"delay":5}}]`), "", `unknown field "spec.recovery.steps[0].reboot.delay"`},
	"a reboot with a time-out": {ladder(`[{"reboot":{},"timeoutSeconds":60}]`), "spec.recovery.steps[0]", rebootEnds},
}

func TestStepsRejected(t *testing.T) { rejectAll(t, policy, rejectedSteps) }

var rejectedEvidence = map[string]refusal{
	"none in a list": {evidence(`[]`), "spec.recovery.evidence", "should have at least 1 items"},
	"5 commands":     {evidence(list(5, aCommand)), "spec.recovery.evidence", "must have at most 4 items"},
	"a long one":     {evidence(`["uptime",` + quoted(1025) + `]`), "spec.recovery.evidence", longEvidence},
	"a longer one":   {evidence(`[` + quoted(8193) + `]`), "spec.recovery.evidence[0]", "may not be more than 8192 bytes"},
	"an empty one":   {evidence(`["uptime",""]`), "spec.recovery.evidence[1]", "should be at least 1 chars long"},
	"a blank one":    {evidence(`[" \n"]`), "spec.recovery.evidence[0]", blank},
	"braces":         {evidence(`["echo {{ssm:a}}"]`), "spec.recovery.evidence[0]", braces},
	"a NUL":          {evidence(`["a\u0000b"]`), "spec.recovery.evidence[0]", nul},
}

func TestEvidenceRejected(t *testing.T) { rejectAll(t, policy, rejectedEvidence) }
