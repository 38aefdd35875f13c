// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const ours = "/apis/ssm-remediator.io/v1alpha1"

func TestKubeKind(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body, want string
	}{
		"opening claims": {"PATCH", ours + "/namespaces/n/remediationpolicies/p/status",
			`{"metadata":{"resourceVersion":"1"},"status":{"opening":[{"name":"p-1"}]}}`, kindClaim},
		"no claims any more": {"PATCH", ours + "/namespaces/n/remediationpolicies/p/status", `{"status":{"opening":null}}`, kindSummary},
		"creation":           {"POST", ours + "/namespaces/n/remediations", `{}`, kindCreate},
		"intent": {"PATCH", ours + "/namespaces/n/remediations/r/status",
			`{"status":{"commands":[{"purpose":"Run","intentTime":"2026-03-29T12:00:00.000000Z"}],
			"conditions":[{"type":"Complete","status":"False","reason":"Running"}]}}`, kindIntent},
		"intent of a second command": {"PATCH", ours + "/namespaces/n/remediations/r/status",
			`{"status":{"commands":[{"purpose":"Check","commandID":"c"},{"purpose":"Run"}]}}`, kindIntent},
		"id": {"PATCH", ours + "/namespaces/n/remediations/r/status",
			`{"status":{"commands":[{"purpose":"Run","commandID":"c"}]}}`, kindRecord},
		"taken back": {"PATCH", ours + "/namespaces/n/remediations/r/status", `{"status":{"commands":null}}`, kindTakeBack},
		"what it waits for": {"PATCH", ours + "/namespaces/n/remediations/r/status",
			`{"status":{"conditions":[{"type":"Complete","status":"False","reason":"Running"}]}}`, kindTelling},
		"result": {"PATCH", ours + "/namespaces/n/remediations/r/status",
			`{"status":{"conditions":[{"type":"Complete","status":"True","reason":"Recovered"}]}}`, kindEnd},
		"finalizer":          {"PATCH", ours + "/namespaces/n/remediations/r", `{"metadata":{"finalizers":null}}`, kindLetGo},
		"deletion":           {"DELETE", ours + "/namespaces/n/remediations/r", "", kindDelete},
		"watch":              {"GET", ours + "/remediations?watch=true", "", kindRemWatch},
		"watch of policies":  {"GET", ours + "/remediationpolicies?watch=1", "", kindPolWatch},
		"list":               {"GET", ours + "/namespaces/n/remediations?limit=5", "", kindLiveList},
		"the last look":      {"GET", ours + "/namespaces/n/remediationpolicies/p", "", kindLivePolicy},
		"event":              {"POST", "/apis/events.k8s.io/v1/namespaces/n/events", "{}", kindEvent},
		"lease":              {"PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "{}", "put leases"},
		"core":               {"GET", "/api/v1/namespaces/n/configmaps", "", "get configmaps"},
		"what is served":     {"GET", "/apis", "", "get "},
		"status not in JSON": {"PATCH", ours + "/namespaces/n/remediations/r/status", "x", "status"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			if got := kubeKind(r, []byte(c.body)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSSMKind(t *testing.T) {
	for name, c := range map[string]struct {
		target, body, want string
	}{
		"probe":    {"AmazonSSM.SendCommand", `{"Comment":"probe/u/1/2"}`, kindProbe},
		"recovery": {"AmazonSSM.SendCommand", `{"Comment":"u/Run"}`, kindSend},
		"check":    {"AmazonSSM.SendCommand", `{"Comment":"u/Check"}`, kindCheck},
		"verify":   {"AmazonSSM.SendCommand", `{"Comment":"u/Verify"}`, kindVerify},
		"read":     {"AmazonSSM.GetCommandInvocation", `{}`, kindResult},
		"STS":      {"", "Action=GetCallerIdentity", "GetCallerIdentity"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("X-Amz-Target", c.target)
			if got := ssmKind(r, []byte(c.body)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestConfine(t *testing.T) {
	for path, want := range map[string]string{
		ours + "/remediations":                ours + "/namespaces/run/remediations",
		ours + "/remediationpolicies":         ours + "/namespaces/run/remediationpolicies",
		ours + "/namespaces/n/remediations/r": ours + "/namespaces/n/remediations/r",
		ours:                                  ours,
		"/api/v1/namespaces":                  "/api/v1/namespaces",
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		confine(r, "run")
		if r.URL.Path != want {
			t.Errorf("%s becomes %s, want %s", path, r.URL.Path, want)
		}
	}
}
