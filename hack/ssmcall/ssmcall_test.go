// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmcall

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		target, body string
		want         Call
		purpose      Purpose
		remediation  string
	}{
		"probe":      {"AmazonSSM.SendCommand", `{"Comment":"probe/u/1/2"}`, Call{SendCommand, "probe/u/1/2"}, Probe, ""},
		"recovery":   {"AmazonSSM.SendCommand", `{"Comment":"u/Run"}`, Call{SendCommand, "u/Run"}, Run, "u"},
		"check":      {"AmazonSSM.SendCommand", `{"Comment":"u/Check"}`, Call{SendCommand, "u/Check"}, Check, "u"},
		"verify":     {"AmazonSSM.SendCommand", `{"Comment":"u/Verify"}`, Call{SendCommand, "u/Verify"}, Verify, "u"},
		"read":       {"AmazonSSM.GetCommandInvocation", `{"Comment":"u/Run"}`, Call{Operation: "GetCommandInvocation"}, "", ""},
		"STS":        {"", "Action=GetCallerIdentity", Call{Operation: GetCallerIdentity}, "", ""},
		"unreadable": {"AmazonSSM.SendCommand", "{", Call{Operation: SendCommand}, Run, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("X-Amz-Target", c.target)
			got := Read(r, []byte(c.body))
			if got != c.want || got.Purpose() != c.purpose || got.Remediation() != c.remediation {
				t.Errorf("got %+v for %q of %q", got, got.Purpose(), got.Remediation())
			}
		})
	}
}
