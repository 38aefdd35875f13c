// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// policy is a minimal policy: all that it leaves out has a default.
func policy() *v1alpha1.RemediationPolicy {
	return &v1alpha1.RemediationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RemediationPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: "httpd", Namespace: metav1.NamespaceDefault},
		Spec: v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{"web"}}}},
			Process:  v1alpha1.ProcessSpec{SystemdUnit: "httpd.service"},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "systemctl start httpd"}}},
		},
	}
}

// quoted returns a JSON string of that length.
func quoted(count int) string { return `"` + strings.Repeat("a", count) + `"` }

// list returns a JSON list of count entries, each made from its index.
func list(count int, entry string) string {
	entries := make([]string, count)
	for i := range entries {
		entries[i] = fmt.Sprintf(entry, i)
	}
	return "[" + strings.Join(entries, ",") + "]"
}

const (
	anID      = `"i-%017x"`
	aTag      = `{"key":"k%d","values":["v"]}`
	aValue    = `"v%d"`
	oneOf     = "set exactly one of name, systemdUnit, pidFile and command"
	badID     = "must be an instance id such as i-0a1b2c3d4e5f67890 (EC2) or mi-0a1b2c3d4e5f67890 (hybrid node)"
	badName   = "must be the plain name of the process, without '/', control characters or '{{'; to check something else use command"
	badUnit   = "must be a full unit name with its type, for example httpd.service"
	relative  = "must be an absolute path, starting with /: the agent silently ignores relative ones"
	badPath   = "must not contain control characters or '{{'; rename the file"
	blank     = "must not be blank: write the command to run"
	braces    = "must not contain '{{', which Systems Manager would resolve as a parameter; put such text into a file on the node and read it from there"
	nul       = "must not contain a NUL character; remove it"
	badRegion = "must be the code of an AWS region, for example eu-central-1"
	badCount  = `must be a number from 1 to 1000, or a percentage from "1%" to "100%"`
	badMany   = `must be a number from 1 to 100000, or a percentage from "1%" to "100%"`
)

// TestPolicyAccepted has the widest and narrowest values that each rule and bound lets through.
func TestPolicyAccepted(t *testing.T) {
	acceptAll(t, policy, map[string]string{
		"a minimal policy":    `{}`,
		"a suspended one":     `{"spec":{"suspend":true}}`,
		"one that only looks": `{"spec":{"mode":"Observe"}}`,
		"one that acts":       `{"spec":{"mode":"Enforce"}}`,
		"one of a name of 63": `{"metadata":{"name":` + quoted(63) + `}}`,

		"region":            `{"spec":{"region":"eu-central-1"}}`,
		"region, GovCloud":  `{"spec":{"region":"us-gov-west-1"}}`,
		"region, two digit": `{"spec":{"region":"us-east-12"}}`,

		"1 id":                    `{"spec":{"targets":{"tags":null,"instanceIDs":["i-0a1b2c3d"]}}}`,
		"1000 ids":                `{"spec":{"targets":{"tags":null,"instanceIDs":` + list(1000, anID) + `}}}`,
		"a hybrid node":           `{"spec":{"targets":{"tags":null,"instanceIDs":["mi-0a1b2c3d4e5f67890"]}}}`,
		"5 tags":                  `{"spec":{"targets":{"tags":` + list(5, aTag) + `}}}`,
		"50 values":               `{"spec":{"targets":{"tags":[{"key":"k","values":` + list(50, aValue) + `}]}}}`,
		"long key, long value":    `{"spec":{"targets":{"tags":[{"key":` + quoted(128) + `,"values":[` + quoted(256) + `]}]}}}`,
		"a tag without a value":   `{"spec":{"targets":{"tags":[{"key":"k","values":[""]}]}}}`,
		"exclude by ids and tags": `{"spec":{"targets":{"exclude":{"instanceIDs":` + list(1000, anID) + `,"tags":` + list(5, aTag) + `}}}}`,

		"process name":          `{"spec":{"process":{"systemdUnit":null,"name":"a process: (sd-pam)"}}}`,
		"process name of 255":   `{"spec":{"process":{"systemdUnit":null,"name":` + quoted(255) + `}}}`,
		"process unit, held":    `{"spec":{"process":{"onCleanStop":"Hold"}}}`,
		"process unit, not":     `{"spec":{"process":{"onCleanStop":"Recover"}}}`,
		"process unit":          `{"spec":{"process":{"systemdUnit":"getty@tty1.service"}}}`,
		"process pid file":      `{"spec":{"process":{"systemdUnit":null,"pidFile":"/var/run/a b.pid"}}}`,
		"process command":       `{"spec":{"process":{"systemdUnit":null,"command":"curl -fsS ${URL} | grep -q '{ ok }'"}}}`,
		"process command, 8192": `{"spec":{"process":{"systemdUnit":null,"command":` + quoted(8192) + `}}}`,
		"process, many lines":   `{"spec":{"process":{"systemdUnit":null,"command":"#!/bin/bash\nset -e\n\ttrue\n"}}}`,

		"probe, smallest": `{"spec":{"probe":{"periodSeconds":10,"timeoutSeconds":1,"failureThreshold":1,"confirmSeconds":1,
			"successThreshold":1,"startupGraceSeconds":0,"mode":"Interval","watchSeconds":60}}}`,
		"probe, largest": `{"spec":{"probe":{"periodSeconds":86400,"timeoutSeconds":300,"failureThreshold":100,
			"confirmSeconds":3600,"successThreshold":100,"startupGraceSeconds":86400,"mode":"Interval","watchSeconds":3600}}}`,
		"probe, watch of a period":    `{"spec":{"probe":{"mode":"Watch","watchSeconds":90,"periodSeconds":90}}}`,
		"probe, time-out of a period": `{"spec":{"probe":{"periodSeconds":20,"timeoutSeconds":20}}}`,

		"limits, smallest": `{"spec":{"limits":{"attempts":1,"windowSeconds":60,"backoffSeconds":1,"backoffMaxSeconds":1,
			"maxConcurrent":1,"maxUnhealthy":1,"stopAfterIneffective":1}}}`,
		"limits, largest": `{"spec":{"limits":{"attempts":100,"windowSeconds":604800,"backoffSeconds":86400,
			"backoffMaxSeconds":86400,"maxConcurrent":1000,"maxUnhealthy":100000,"stopAfterIneffective":1000}}}`,
		"limits, 1%":        `{"spec":{"limits":{"maxConcurrent":"1%","maxUnhealthy":"1%"}}}`,
		"limits, 100%":      `{"spec":{"limits":{"maxConcurrent":"100%","maxUnhealthy":"100%"}}}`,
		"history, smallest": `{"spec":{"history":{"limit":1,"ttlSeconds":60}}}`,
		"history, largest":  `{"spec":{"history":{"limit":10000,"ttlSeconds":31536000}}}`,
	})
}

// rejectedPolicies has one entry or more for each rule and bound of the schema, together with the other tables.
var rejectedPolicies = map[string]refusal{
	"a name of 64": {`{"metadata":{"name":` + quoted(64) + `}}`, "",
		"metadata.name must be at most 63 characters, because it becomes a label of each Remediation; choose a shorter name"},
	"no spec":          {`{"spec":null}`, "spec", "Required value"},
	"an unknown field": {`{"spec":{"limit":{}}}`, "", `unknown field "spec.limit"`},
	"an unknown field in a list": {`{"spec":{"recovery":{"steps":[{"command":"a","timeout":5}]}}}`, "",
		`unknown field "spec.recovery.steps[0].timeout"`},
	"suspend that is no boolean": {`{"spec":{"suspend":"yes"}}`, "spec.suspend", "must be of type boolean"},
	"an unknown mode":            {`{"spec":{"mode":"DryRun"}}`, "spec.mode", `supported values: "Enforce", "Observe"`},
	"a region's name":            {`{"spec":{"region":"Frankfurt"}}`, "spec.region", badRegion},
	"a zone":                     {`{"spec":{"region":"eu-central-1a"}}`, "spec.region", badRegion},
	"a long region":              {`{"spec":{"region":` + quoted(33) + `}}`, "spec.region", "may not be more than 32 bytes"},

	"no targets":    {`{"spec":{"targets":null}}`, "spec.targets", "Required value"},
	"empty targets": {`{"spec":{"targets":{"tags":null}}}`, "spec.targets", "set exactly one of instanceIDs and tags"},
	"ids and tags": {`{"spec":{"targets":{"instanceIDs":["i-0a1b2c3d"]}}}`, "spec.targets",
		"set exactly one of instanceIDs and tags"},
	"only exclude": {`{"spec":{"targets":{"tags":null,"exclude":{"instanceIDs":["i-0a1b2c3d"]}}}}`, "spec.targets",
		"set exactly one of instanceIDs and tags"},
	"no id": {`{"spec":{"targets":{"tags":null,"instanceIDs":[]}}}`, "spec.targets.instanceIDs",
		"should have at least 1 items"},
	"1001 ids": {`{"spec":{"targets":{"tags":null,"instanceIDs":` + list(1001, anID) + `}}}`, "spec.targets.instanceIDs",
		"must have at most 1000 items"},
	"an id twice": {`{"spec":{"targets":{"tags":null,"instanceIDs":["i-0a1b2c3d","i-0a1b2c3d"]}}}`,
		"spec.targets.instanceIDs[1]", "Duplicate value"},
	"a host name": {`{"spec":{"targets":{"tags":null,"instanceIDs":["web-1"]}}}`, "spec.targets.instanceIDs[0]", badID},
	"an id in capitals": {`{"spec":{"targets":{"tags":null,"instanceIDs":["i-0A1B2C3D"]}}}`, "spec.targets.instanceIDs[0]",
		badID},
	"a short hybrid id": {`{"spec":{"targets":{"tags":null,"instanceIDs":["mi-0a1b2c3d"]}}}`,
		"spec.targets.instanceIDs[0]", badID},
	"a long id": {`{"spec":{"targets":{"tags":null,"instanceIDs":[` + quoted(21) + `]}}}`, "spec.targets.instanceIDs[0]",
		"may not be more than 20 bytes"},
	"no tag":          {`{"spec":{"targets":{"tags":[]}}}`, "spec.targets.tags", "should have at least 1 items"},
	"6 tags":          {`{"spec":{"targets":{"tags":` + list(6, aTag) + `}}}`, "spec.targets.tags", "must have at most 5 items"},
	"a key twice":     {`{"spec":{"targets":{"tags":[{"key":"k","values":["v"]},{"key":"k","values":["w"]}]}}}`, "spec.targets.tags[1]", "Duplicate value"},
	"a tag of no key": {`{"spec":{"targets":{"tags":[{"values":["v"]}]}}}`, "spec.targets.tags[0].key", "Required value"},
	"an empty key": {`{"spec":{"targets":{"tags":[{"key":"","values":["v"]}]}}}`, "spec.targets.tags[0].key",
		"should be at least 1 chars long"},
	"a long key": {`{"spec":{"targets":{"tags":[{"key":` + quoted(129) + `,"values":["v"]}]}}}`,
		"spec.targets.tags[0].key", "may not be more than 128 bytes"},
	"no values": {`{"spec":{"targets":{"tags":[{"key":"k"}]}}}`, "spec.targets.tags[0].values", "Required value"},
	"empty values": {`{"spec":{"targets":{"tags":[{"key":"k","values":[]}]}}}`, "spec.targets.tags[0].values",
		"should have at least 1 items"},
	"51 values": {`{"spec":{"targets":{"tags":[{"key":"k","values":` + list(51, aValue) + `}]}}}`,
		"spec.targets.tags[0].values", "must have at most 50 items"},
	"a value twice": {`{"spec":{"targets":{"tags":[{"key":"k","values":["v","v"]}]}}}`, "spec.targets.tags[0].values[1]",
		"Duplicate value"},
	"a long value": {`{"spec":{"targets":{"tags":[{"key":"k","values":[` + quoted(257) + `]}]}}}`,
		"spec.targets.tags[0].values[0]", "may not be more than 256 bytes"},
	"an empty exclude": {`{"spec":{"targets":{"exclude":{}}}}`, "spec.targets.exclude",
		"set instanceIDs, tags or both, or remove exclude"},
	"1001 excluded ids": {`{"spec":{"targets":{"exclude":{"instanceIDs":` + list(1001, anID) + `}}}}`,
		"spec.targets.exclude.instanceIDs", "must have at most 1000 items"},
	"6 excluded tags": {`{"spec":{"targets":{"exclude":{"tags":` + list(6, aTag) + `}}}}`, "spec.targets.exclude.tags",
		"must have at most 5 items"},
	"a bad excluded id": {`{"spec":{"targets":{"exclude":{"instanceIDs":["web-1"]}}}}`,
		"spec.targets.exclude.instanceIDs[0]", badID},

	"no process":          {`{"spec":{"process":null}}`, "spec.process", "Required value"},
	"an empty process":    {`{"spec":{"process":{"systemdUnit":null}}}`, "spec.process", oneOf},
	"two ways to name it": {`{"spec":{"process":{"name":"httpd"}}}`, "spec.process", oneOf},
	"all four ways": {`{"spec":{"process":{"name":"httpd","pidFile":"/run/a","command":"true"}}}`,
		"spec.process", oneOf},
	"an empty name":      {`{"spec":{"process":{"systemdUnit":null,"name":""}}}`, "spec.process.name", "should be at least 1 chars long"},
	"a path as name":     {`{"spec":{"process":{"systemdUnit":null,"name":"/usr/sbin/httpd"}}}`, "spec.process.name", badName},
	"a tab in the name":  {`{"spec":{"process":{"systemdUnit":null,"name":"a\tb"}}}`, "spec.process.name", badName},
	"braces in the name": {`{"spec":{"process":{"systemdUnit":null,"name":"{{a}}"}}}`, "spec.process.name", badName},
	"a long name": {`{"spec":{"process":{"systemdUnit":null,"name":` + quoted(256) + `}}}`, "spec.process.name",
		"may not be more than 255 bytes"},
	"a stop of no unit": {`{"spec":{"process":{"systemdUnit":null,"name":"httpd","onCleanStop":"Hold"}}}`, "spec.process",
		"onCleanStop goes with systemdUnit, which alone can tell a stop from a failure; remove it or name the unit"},
	"an unknown stop":      {`{"spec":{"process":{"onCleanStop":"Ignore"}}}`, "spec.process.onCleanStop", `supported values: "Recover", "Hold"`},
	"a unit of no type":    {`{"spec":{"process":{"systemdUnit":"httpd"}}}`, "spec.process.systemdUnit", badUnit},
	"an empty unit":        {`{"spec":{"process":{"systemdUnit":""}}}`, "spec.process.systemdUnit", badUnit},
	"a pattern of units":   {`{"spec":{"process":{"systemdUnit":"http*.service"}}}`, "spec.process.systemdUnit", badUnit},
	"an option as a unit":  {`{"spec":{"process":{"systemdUnit":"--all.service"}}}`, "spec.process.systemdUnit", badUnit},
	"two units":            {`{"spec":{"process":{"systemdUnit":"a.service b.service"}}}`, "spec.process.systemdUnit", badUnit},
	"a long unit":          {`{"spec":{"process":{"systemdUnit":` + quoted(256) + `}}}`, "spec.process.systemdUnit", "may not be more than 255 bytes"},
	"a relative pid file":  {`{"spec":{"process":{"systemdUnit":null,"pidFile":"run/a.pid"}}}`, "spec.process.pidFile", relative},
	"a short pid file":     {`{"spec":{"process":{"systemdUnit":null,"pidFile":"/"}}}`, "spec.process.pidFile", "should be at least 2 chars long"},
	"a newline in a path":  {`{"spec":{"process":{"systemdUnit":null,"pidFile":"/run/a\nb"}}}`, "spec.process.pidFile", badPath},
	"braces in a path":     {`{"spec":{"process":{"systemdUnit":null,"pidFile":"/run/{{a}}"}}}`, "spec.process.pidFile", badPath},
	"a long pid file":      {`{"spec":{"process":{"systemdUnit":null,"pidFile":"/` + strings.Repeat("a", 1024) + `"}}}`, "spec.process.pidFile", "may not be more than 1024 bytes"},
	"an empty check":       {`{"spec":{"process":{"systemdUnit":null,"command":""}}}`, "spec.process.command", "should be at least 1 chars long"},
	"a blank check":        {`{"spec":{"process":{"systemdUnit":null,"command":" \n\t"}}}`, "spec.process.command", blank},
	"braces in the check":  {`{"spec":{"process":{"systemdUnit":null,"command":"echo {{ssm:a}}"}}}`, "spec.process.command", braces},
	"a NUL in the check":   {`{"spec":{"process":{"systemdUnit":null,"command":"a\u0000b"}}}`, "spec.process.command", nul},
	"a check of 8193":      {`{"spec":{"process":{"systemdUnit":null,"command":` + quoted(8193) + `}}}`, "spec.process.command", "may not be more than 8192 bytes"},
	"time-out over period": {`{"spec":{"probe":{"timeoutSeconds":31}}}`, "spec.probe", "timeoutSeconds must not be more than periodSeconds; raise periodSeconds or lower timeoutSeconds"},
	"an unknown probe":     {`{"spec":{"probe":{"mode":"Stream"}}}`, "spec.probe.mode", `supported values: "Interval", "Watch"`},
	"period over watch": {`{"spec":{"probe":{"mode":"Watch","watchSeconds":60,"periodSeconds":61}}}`, "spec.probe",
		"with mode Watch periodSeconds must not be more than watchSeconds, or no probe would stay; raise watchSeconds or lower periodSeconds"},

	"maxConcurrent 0":     {`{"spec":{"limits":{"maxConcurrent":0}}}`, "spec.limits.maxConcurrent", badCount},
	"maxConcurrent -1":    {`{"spec":{"limits":{"maxConcurrent":-1}}}`, "spec.limits.maxConcurrent", badCount},
	"maxConcurrent 1001":  {`{"spec":{"limits":{"maxConcurrent":1001}}}`, "spec.limits.maxConcurrent", badCount},
	"maxConcurrent 0%":    {`{"spec":{"limits":{"maxConcurrent":"0%"}}}`, "spec.limits.maxConcurrent", badCount},
	"maxConcurrent 101%":  {`{"spec":{"limits":{"maxConcurrent":"101%"}}}`, "spec.limits.maxConcurrent", badCount},
	"maxConcurrent text":  {`{"spec":{"limits":{"maxConcurrent":"5"}}}`, "spec.limits.maxConcurrent", badCount},
	"maxConcurrent long":  {`{"spec":{"limits":{"maxConcurrent":"00010%"}}}`, "spec.limits.maxConcurrent", "may not be more than 5 bytes"},
	"maxConcurrent true":  {`{"spec":{"limits":{"maxConcurrent":true}}}`, "spec.limits.maxConcurrent", "must be of type integer,string"},
	"maxUnhealthy 0":      {`{"spec":{"limits":{"maxUnhealthy":0}}}`, "spec.limits.maxUnhealthy", badMany},
	"maxUnhealthy -1":     {`{"spec":{"limits":{"maxUnhealthy":-1}}}`, "spec.limits.maxUnhealthy", badMany},
	"maxUnhealthy 100001": {`{"spec":{"limits":{"maxUnhealthy":100001}}}`, "spec.limits.maxUnhealthy", badMany},
	"maxUnhealthy 0%":     {`{"spec":{"limits":{"maxUnhealthy":"0%"}}}`, "spec.limits.maxUnhealthy", badMany},
	"maxUnhealthy 101%":   {`{"spec":{"limits":{"maxUnhealthy":"101%"}}}`, "spec.limits.maxUnhealthy", badMany},
	"maxUnhealthy text":   {`{"spec":{"limits":{"maxUnhealthy":"5"}}}`, "spec.limits.maxUnhealthy", badMany},
	"maxUnhealthy long":   {`{"spec":{"limits":{"maxUnhealthy":"00050%"}}}`, "spec.limits.maxUnhealthy", "may not be more than 5 bytes"},
	"maxUnhealthy list":   {`{"spec":{"limits":{"maxUnhealthy":[]}}}`, "spec.limits.maxUnhealthy", "must be of type integer,string"},
	"backoff over its maximum": {`{"spec":{"limits":{"backoffSeconds":601}}}`, "spec.limits",
		"backoffMaxSeconds must not be less than backoffSeconds; raise backoffMaxSeconds"},
}

func TestPolicyRejected(t *testing.T) { rejectAll(t, policy, rejectedPolicies) }

// TestPolicyNumbersRejected goes one below and one above the range of every number.
func TestPolicyNumbersRejected(t *testing.T) {
	for field, bounds := range map[string]struct{ minimum, maximum int }{
		"spec.probe.periodSeconds":                   {10, 86400},
		"spec.probe.timeoutSeconds":                  {1, 300},
		"spec.probe.failureThreshold":                {1, 100},
		"spec.probe.confirmSeconds":                  {1, 3600},
		"spec.probe.successThreshold":                {1, 100},
		"spec.probe.startupGraceSeconds":             {0, 86400},
		"spec.probe.watchSeconds":                    {60, 3600},
		"spec.recovery.stableSeconds":                {1, 604800},
		"spec.recovery.steps[0].timeoutSeconds":      {1, 3600},
		"spec.recovery.steps[0].verifySeconds":       {0, 3600},
		"spec.limits.attempts":                       {1, 100},
		"spec.limits.windowSeconds":                  {60, 604800},
		"spec.limits.backoffSeconds":                 {1, 86400},
		"spec.limits.backoffMaxSeconds":              {1, 86400},
		"spec.limits.stopAfterIneffective":           {1, 1000},
		"spec.maintenanceWindows[0].durationSeconds": {60, 604800},
		"spec.history.limit":                         {1, 10000},
		"spec.history.ttlSeconds":                    {60, 31536000},
	} {
		for value, want := range map[int]string{
			bounds.minimum - 1: fmt.Sprintf("should be greater than or equal to %d", bounds.minimum),
			bounds.maximum + 1: fmt.Sprintf("should be less than or equal to %d", bounds.maximum),
		} {
			t.Run(fmt.Sprintf("%s %d", field, value), func(t *testing.T) {
				g := NewWithT(t)
				err := tryCreate(t, edited(g, policy(), patchOf(field, value)))
				g.Expect(err).To(MatchError(SatisfyAll(ContainSubstring(field+": "), ContainSubstring(want))))
			})
		}
	}
}

// besides is what an item of a list needs besides the number.
var besides = map[string]string{
	"steps":              `"command":"a"`,
	"maintenanceWindows": `"schedule":"0 2 * * 6","action":"Allow"`,
}

// patchOf returns the merge patch that sets one number of a policy.
func patchOf(field string, value int) string {
	path := strings.Split(field, ".")
	last := len(path) - 1
	patch := fmt.Sprintf(`{%q:%d}`, path[last], value)
	for i := last - 1; i >= 0; i-- {
		if name, isItem := strings.CutSuffix(path[i], "[0]"); isItem {
			patch = fmt.Sprintf(`{%q:[{%s,%s]}`, name, besides[name], patch[1:])
			continue
		}
		patch = fmt.Sprintf(`{%q:%s}`, path[i], patch)
	}
	return patch
}
