// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/ssmcall"
)

// call is one request of a manager, as its proxies see it.
type call struct {
	// replica is the manager.
	replica *replica
	// kind says what the call is for, in one of the words of kubeKind and ssmKind.
	kind string
	// number counts the calls of this kind within the run, from 1.
	number int
}

// Kinds of calls that write, one for each step of an incident.
const (
	kindClaim      = "claim"             // the names of the Remediations to come, into the policy's status
	kindCreate     = "create"            // a Remediation
	kindIntent     = "intent"            // that a command is about to be sent
	kindSend       = "SendCommand"       // the command of a recovery that acts
	kindCheck      = "SendCommand Check" // the look before a document
	kindVerify     = "SendCommand Verify"
	kindCancel     = "CancelCommand"
	kindRecord     = "record"            // the id of the command, or how far it is
	kindTakeBack   = "take back"         // the intent of a command that AWS refused
	kindTelling    = "condition"         // what it waits for
	kindEnd        = "end"               // the result
	kindLetGo      = "let go"            // the finalizer
	kindDelete     = "delete"            // an old Remediation
	kindSummary    = "summary"           // the status of the policy
	kindEvent      = "event"             // a Kubernetes Event
	kindProbe      = "SendCommand probe" // a probe
	kindLivePolicy = "get policy"        // the last look before the send
	kindLiveList   = "list Remediations" // what is recorded, before Remediations are opened
	kindResult     = "GetCommandInvocation"
	kindCounts     = "ListCommands"
	kindNodes      = "ListCommandInvocations"
	kindInventory  = "DescribeInstanceInformation"
	kindRemWatch   = "watch remediations"
	kindPolWatch   = "watch remediationpolicies"
)

// kubePath is what the path of a request to the API server names.
type kubePath struct {
	group, namespace, resource, name, subresource string
}

// parsePath reads /api/v1/... and /apis/<group>/<version>/..., of one namespace or of all.
func parsePath(path string) kubePath {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var p kubePath
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		p.group = parts[1]
		parts = parts[3:]
	default:
		return p
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		p.namespace = parts[1]
		parts = parts[2:]
	}
	parts = append(parts, "", "")
	p.resource, p.name, p.subresource = parts[0], parts[1], parts[2]
	return p
}

// kubeKind tells what a request to the API server is for.
func kubeKind(r *http.Request, body []byte) string {
	p := parsePath(r.URL.Path)
	switch p.resource {
	case "remediations":
		return remediationKind(r, p, body)
	case "remediationpolicies":
		return policyKind(r, p, body)
	case "events":
		return kindEvent
	}
	return strings.ToLower(r.Method) + " " + p.resource
}

func remediationKind(r *http.Request, p kubePath, body []byte) string {
	switch {
	case r.Method == http.MethodPost:
		return kindCreate
	case r.Method == http.MethodDelete:
		return kindDelete
	case r.Method == http.MethodPatch && p.subresource == "status":
		return statusKind(body)
	case r.Method == http.MethodPatch:
		return kindLetGo
	case watches(r):
		return kindRemWatch
	case p.name == "":
		return kindLiveList
	}
	return "get Remediation"
}

func policyKind(r *http.Request, p kubePath, body []byte) string {
	switch {
	case r.Method == http.MethodPatch && claims(body):
		return kindClaim
	case r.Method == http.MethodPatch:
		return kindSummary
	case watches(r):
		return kindPolWatch
	case p.name == "":
		return "list policies"
	}
	return kindLivePolicy
}

func watches(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

// claims reports whether a patch of a policy's status names Remediations to come.
func claims(body []byte) bool {
	var patch v1alpha1.RemediationPolicy
	return json.Unmarshal(body, &patch) == nil && len(patch.Status.Opening) > 0
}

// statusKind tells which step of an attempt a patch of its status records.
func statusKind(body []byte) string {
	var patch v1alpha1.Remediation
	var keys struct {
		Status map[string]json.RawMessage `json:"status"`
	}
	if json.Unmarshal(body, &patch) != nil || json.Unmarshal(body, &keys) != nil {
		return "status"
	}
	_, aboutCommands := keys.Status["commands"]
	complete := meta.FindStatusCondition(patch.Status.Conditions, v1alpha1.ConditionComplete)
	commands := patch.Status.Commands
	switch {
	case complete != nil && string(complete.Status) == string(corev1.ConditionTrue):
		return kindEnd
	case !aboutCommands:
		return kindTelling
	case len(commands) == 0:
		return kindTakeBack
	case commands[len(commands)-1].CommandID == "":
		return kindIntent
	}
	return kindRecord
}

// ssmKind tells what a request to Systems Manager is for.
func ssmKind(r *http.Request, body []byte) string {
	c := ssmcall.Read(r, body)
	switch c.Purpose() {
	case ssmcall.Probe:
		return kindProbe
	case ssmcall.Check:
		return kindCheck
	case ssmcall.Verify:
		return kindVerify
	case ssmcall.Run:
		return kindSend
	}
	return c.Operation
}
