// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	aTime    = `"2026-03-01T12:00:00.123456Z"`
	aReason  = `{"reason":"Reason%d","count":1}`
	resetAt  = `"ssm-remediator.io/reset-at"`
	badTime  = "lastTransitionTime must be a time in UTC between the years 1000 and 9999, for example 2026-03-29T12:00:00Z"
	badForm  = "should match '^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$'"
	aRequest = `{"annotation":"ssm-remediator.io/request-%d","value":"v","state":"Refused","time":` + aTime + `}`
)

// request is the merge patch of a status with one request. What it is made of are JSON values.
func request(annotation, value, state, message string) string {
	return fmt.Sprintf(`{"status":{"requests":[{"annotation":%s,"value":%s,"state":%s,"message":%s,"time":%s}]}}`,
		annotation, value, state, message, aTime)
}

// turned is that of a status with a condition that has turned at a time.
func turned(kind, at string) string {
	return fmt.Sprintf(`{"status":{"conditions":[{"type":%q,"status":"True","reason":"R","message":"","lastTransitionTime":%q}]}}`, kind, at)
}

// breaker is that of a status with these fields of the breaker.
func breaker(fields string) string { return `{"status":{"breaker":{` + fields + `}}}` }

// sent is that of a status with commands of these purposes.
func sent(purposes ...string) string {
	commands := make([]string, len(purposes))
	for i, purpose := range purposes {
		commands[i] = `{"purpose":"` + purpose + `","intentTime":` + aTime + `}`
	}
	return `{"status":{"commands":[` + strings.Join(commands, ",") + `]}}`
}

var (
	acceptedPolicyStatuses = map[string]string{
		"an open breaker": breaker(`"openTime":` + aTime + `,"unhealthy":60,"limit":50`),
		"one that is about to let go": breaker(`"openTime":` + aTime + `,"unhealthy":0,"limit":0,
			"belowTime":` + aTime),
		"no breaker":          `{"status":{"breaker":null}}`,
		"64 reasons":          `{"status":{"blocked":` + list(64, aReason) + `}}`,
		"a reset":             `{"status":{"resetTime":` + aTime + `}}`,
		"8 requests":          `{"status":{"requests":` + list(8, aRequest) + `}}`,
		"the longest request": request(quoted(128), quoted(64), `"Refused"`, quoted(512)),
		"an empty value":      request(resetAt, `""`, `"Refused"`, `"m"`),
		"a condition":         turned("Ready", "2026-03-29T12:00:00Z"),
		"one from elsewhere":  turned("Ready", "2026-03-29T12:00:00.5+02:00"),
		"a Namespace's":       request(`"namespace/ssm-remediator.io/silenced-until"`, `"v"`, `"Accepted"`, `""`),
	}
	rejectedPolicyStatuses = map[string]refusal{
		"a breaker of no time":  {breaker(`"unhealthy":60,"limit":50`), "status.breaker.openTime", "Required value"},
		"a breaker of no count": {breaker(`"openTime":` + aTime + `,"limit":50`), "status.breaker.unhealthy", "Required value"},
		"a breaker of no limit": {breaker(`"openTime":` + aTime + `,"unhealthy":60`), "status.breaker.limit", "Required value"},
		"a breaker since yore": {breaker(`"openTime":` + aTime + `,"unhealthy":60,"limit":50,"belowTime":"yore"`), "status.breaker.belowTime",
			"must be of type date-time"},
		"a time of seconds":   {`{"status":{"lastProbeTime":"2026-03-01T12:00:00Z"}}`, "status.lastProbeTime", badForm},
		"one of nanoseconds":  {`{"status":{"lastProbeTime":"2026-03-01T12:00:00.123456789Z"}}`, "status.lastProbeTime", badForm},
		"one from elsewhere":  {`{"status":{"lastProbeTime":"9999-12-31T23:59:59.000000-01:00"}}`, "status.lastProbeTime", badForm},
		"one of lower case":   {`{"status":{"lastProbeTime":"2026-03-01t12:00:00.123456z"}}`, "status.lastProbeTime", badForm},
		"the zero time":       {`{"status":{"lastProbeTime":"0001-01-01T00:00:00.000000Z"}}`, "status.lastProbeTime", badForm},
		"a condition of yore": {turned("Ready", "0001-01-01T00:00:00Z"), "status.conditions", badTime},
		"one of the future":   {turned("Ready", "9999-12-31T23:59:59-23:59"), "status.conditions", badTime},
		"65 reasons":          {`{"status":{"blocked":` + list(65, aReason) + `}}`, "status.blocked", "must have at most 64 items"},
		"a long reason": {`{"status":{"blocked":[{"reason":` + quoted(65) + `,"count":1}]}}`, "status.blocked[0].reason",
			"may not be more than 64 bytes"},
		"9 requests": {`{"status":{"requests":` + list(9, aRequest) + `}}`, "status.requests", "must have at most 8 items"},
		"a request twice": {`{"status":{"requests":` + strings.ReplaceAll(list(2, aRequest), "request-1", "request-0") + `}}`,
			"status.requests[1]", "Duplicate value"},
		"a long annotation": {request(quoted(129), `"v"`, `"Refused"`, `"m"`), "status.requests[0].annotation", "may not be more than 128 bytes"},
		"a long value":      {request(resetAt, quoted(65), `"Refused"`, `"m"`), "status.requests[0].value", "may not be more than 64 bytes"},
		"a long message":    {request(resetAt, `"v"`, `"Refused"`, quoted(513)), "status.requests[0].message", "may not be more than 512 bytes"},
		"an unknown state":  {request(resetAt, `"v"`, `"Done"`, `"m"`), "status.requests[0].state", `supported values: "Accepted", "Refused"`},
	}

	acceptedRemediationStatuses = map[string]string{
		"a command":              sent("Run"),
		"a document":             sent("Check", "Run", "Verify"),
		"evidence that is kept":  `{"status":{"evidence":[{"exitCode":3,"output":` + quoted(1024) + `},{"output":""},{"exitCode":0},{}]}}`,
		"evidence without words": `{"status":{"evidence":[]}}`,
		"seconds":                `{"status":{"took":"3s"}}`,
		"hours":                  `{"status":{"took":"100000h59m59s"}}`,
	}
	rejectedRemediationStatuses = map[string]refusal{
		"a purpose twice":         {sent("Run", "Run"), "status.commands[1]", "Duplicate value"},
		"an unknown purpose":      {sent("Cancel"), "status.commands[0].purpose", `supported values: "Check", "Run", "Verify"`},
		"5 commands":              {sent("Check", "Run", "Verify", "a", "b"), "status.commands", "must have at most 4 items"},
		"a send without intent":   {`{"status":{"commands":[{"purpose":"Run"}]}}`, "status.commands[0].intentTime", "Required value"},
		"a time in words":         {`{"status":{"took":"long"}}`, "status.took", "should match"},
		"a time without a unit":   {`{"status":{"took":"3"}}`, "status.took", "should match"},
		"a time that is too long": {`{"status":{"took":"9999999h0m0s"}}`, "status.took", "should match"},
		"a condition of yore":     {turned("Complete", "0001-01-01T00:00:00Z"), "status.conditions", badTime},
		"5 of evidence":           {`{"status":{"evidence":` + list(5, `{"exitCode":%d}`) + `}}`, "status.evidence", "must have at most 4 items"},
		"long evidence":           {`{"status":{"evidence":[{"output":` + quoted(1025) + `}]}}`, "status.evidence[0].output", "may not be more than 1024 bytes"},
		"an unknown kind of fact": {`{"status":{"evidence":[{"stderr":"a"}]}}`, "", `unknown field "status.evidence[0].stderr"`},
	}
)

func TestPolicyStatus(t *testing.T) {
	stored := policy()
	stored.Namespace = cluster.NewNamespace(t)
	testStatus(t, stored, acceptedPolicyStatuses, rejectedPolicyStatuses)
}

// TestWhatCannotBeReadIsRefused has times that the API server itself takes for times, and no typed client can read.
func TestWhatCannotBeReadIsRefused(t *testing.T) {
	stored := policy()
	stored.Namespace = cluster.NewNamespace(t)
	NewWithT(t).Expect(cluster.Client.Create(t.Context(), stored)).To(Succeed())
	for _, at := range []string{"2026-03-29t12:00:00z", "2026-03-29T12:00:00+99:99", "2026-03-29 12:00:00Z"} {
		t.Run(at, func(t *testing.T) {
			patch := client.RawPatch(types.MergePatchType, []byte(turned("Ready", at)))
			NewWithT(t).Expect(cluster.Client.Status().Patch(t.Context(), stored.DeepCopy(), patch)).To(
				MatchError(ContainSubstring("status.conditions")))
			NewWithT(t).Expect(cluster.Client.List(t.Context(), &v1alpha1.RemediationPolicyList{})).To(Succeed())
		})
	}
}

func TestRemediationStatus(t *testing.T) {
	testStatus(t, remediation(cluster.NewNamespace(t)), acceptedRemediationStatuses, rejectedRemediationStatuses)
}

// testStatus creates an object and tries merge patches of its status.
func testStatus(t *testing.T, stored client.Object, accepted map[string]string, rejected map[string]refusal) {
	t.Helper()
	NewWithT(t).Expect(cluster.Client.Create(t.Context(), stored)).To(Succeed())
	try := func(t *testing.T, patch string) error {
		t.Helper()
		object := stored.DeepCopyObject().(client.Object)
		return client.WithFieldValidation(cluster.Client, "Strict").Status().Patch(t.Context(), object,
			client.RawPatch(types.MergePatchType, []byte(patch)), client.DryRunAll)
	}
	for name, patch := range accepted {
		t.Run(name, func(t *testing.T) { NewWithT(t).Expect(try(t, patch)).To(Succeed()) })
	}
	for name, tc := range rejected {
		t.Run(name, func(t *testing.T) { NewWithT(t).Expect(try(t, tc.patch)).To(tc.says()) })
	}
}
