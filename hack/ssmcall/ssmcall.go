// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ssmcall reads what the requests of a manager to Systems Manager are for, for those who stand in between.
package ssmcall

import (
	"encoding/json"
	"net/http"
	"strings"
)

// SendCommand and GetCallerIdentity are operations that are told apart from others.
const (
	SendCommand       = "SendCommand"
	GetCallerIdentity = "GetCallerIdentity"
)

// Call is one request.
type Call struct {
	// Operation is its name. One that has none is of another service, of which the manager uses only GetCallerIdentity.
	Operation string
	// Comment is that of a SendCommand.
	Comment string
}

// Purpose is what a SendCommand is for.
type Purpose string

const (
	// Probe looks at nodes.
	Probe Purpose = "probe"
	// Check looks at one before a document or a reboot.
	Check Purpose = "Check"
	// Verify looks at one after it.
	Verify Purpose = "Verify"
	// Run is what acts.
	Run Purpose = "Run"
)

// Read reads a request.
func Read(r *http.Request, body []byte) Call {
	_, operation, found := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !found {
		return Call{Operation: GetCallerIdentity}
	}
	c := Call{Operation: operation}
	if operation == SendCommand {
		var request struct{ Comment string }
		// What cannot be read is refused by the server.
		_ = json.Unmarshal(body, &request)
		c.Comment = request.Comment
	}
	return c
}

// Purpose is that of a SendCommand, by its comment, and empty for other calls.
func (c Call) Purpose() Purpose {
	switch {
	case c.Operation != SendCommand:
		return ""
	case strings.HasPrefix(c.Comment, "probe/"):
		return Probe
	case strings.HasSuffix(c.Comment, "/Check"):
		return Check
	case strings.HasSuffix(c.Comment, "/Verify"):
		return Verify
	}
	return Run
}

// Remediation is the uid of the Remediation whose command is sent, and empty for other calls.
func (c Call) Remediation() string {
	if p := c.Purpose(); p == "" || p == Probe {
		return ""
	}
	uid, _, _ := strings.Cut(c.Comment, "/")
	return uid
}
