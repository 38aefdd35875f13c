// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"strings"
	"sync"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// any of these.
func of[T any](values ...T) []any {
	list := make([]any, len(values))
	for n, value := range values {
		list[n] = value
	}
	return list
}

var (
	commands = of("start", "true", "exit 194", "#!/bin/sh\nset -e\nfalse\n",
		`echo "it's $(reboot) \\`+"`x` é日🔥\x1b[2J", strings.Repeat("a", 1024))
	paths    = of("/run/httpd.pid", `/a b'"$(reboot)`, "/é日🔥", "/"+strings.Repeat("日", 1023))
	ids      = of(ID(0), ID(1), ID(2), ID(3), "i-0a1b2c3d", "mi-0a1b2c3d4e5f67890")
	keys     = of("Role", "Role", "Stage", "é日🔥: other", strings.Repeat("k", 128))
	tags     = of("web", "web", "db", "", strings.Repeat("日", 256))
	regions  = of("eu-central-1", "eu-central-1", "eu-central-1", "us-gov-west-1")
	names63  = of("httpd-1", "httpd-2", "httpd", "é日🔥", strings.Repeat("n", 63))
	statuses = of("Success", "Failed", "InProgress", "Pending", "ExecutionTimedOut", "DeliveryTimedOut",
		"Cancelled", "Cancelling", "Undeliverable",
		"SomethingNew", "é日🔥\x00", strings.Repeat("s", 64))
	requestsAt = of("2026-03-29T11:59:00Z", "2026-03-29T13:00:00Z", "9999-12-31T23:59:59-23:59", "now", "", "é日🔥",
		strings.Repeat("1", 64))
	commandIDs = of("0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10", "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f11", "x",
		strings.Repeat("日", 36))
)

// values are what fields may be that a pattern or a rule binds, and those of which only few values lead anywhere.
var values = sync.OnceValue(func() map[string][]any {
	v := map[string][]any{
		"spec.region": regions,

		"spec.limits.maxConcurrent": of[any](int64(1), "100%", "1%", int64(1000)),
		"spec.limits.maxUnhealthy":  of[any]("100%", "50%", int64(1), int64(100_000), "1%"),
		"spec.recovery.evidence[]":  commands,
		"spec.evidence[]":           commands,
		"spec.history.limit":        of[any](int64(1), int64(2), int64(100), int64(10_000)),
		"spec.probe.periodSeconds":  of[any](int64(30), int64(10), int64(11), int64(60), int64(86400)),
		"spec.suspend":              of(false, false, false, true),
		"spec.mode":                 of("Enforce", "Enforce", "Enforce", "Observe"),
		"spec.policyRef.name":       of("httpd", "httpd", "httpd", "other"),
		"spec.policyRef.uid":        of("2f0c5f0e-9a36-4c8c-9d0f-6f1a3f1c7c11", "another"),
		"spec.account":              of("123456789012", "123456789012", "123456789012", "210987654321", ""),
		"spec.instanceID":           ids,
		"spec.stepIndex":            of[any](int64(0), int64(1), int64(7)),
		// Nobody gets as far as the largest numbers; the attempt after them would be refused.
		"spec.sequence":               of[any](int64(1), int64(2), int64(7), int64(1<<53)),
		"spec.attempt":                of[any](int64(1), int64(2), int64(40), int64(1<<30)),
		"spec.detection.commandID":    commandIDs,
		"status.commands[].commandID": commandIDs,
		"status.commands[].status":    statuses,
		"status.commands[].bootID":    of("00000001-0000-4000-8000-000000000000", "x", strings.Repeat("日", 36)),
		"status.took":                 of("3s", "1h2m3s", "999999h59m59s"),

		"spec.maintenanceWindows[].schedule": of("0 2 * * 6", "* * * * *", "*/5,7-9 0-12 ? JAN-DEC MON",
			"99 99 99 99 99", "0 0 30 2 *", "a b c d e"),
		"spec.maintenanceWindows[].timeZone": of("Europe/Berlin", "UTC", "America/New_York", "No/Such", "Etc/GMT+12"),

		"status.account":                of("123456789012", "210987654321"),
		"status.region":                 regions,
		"status.instances[].instanceID": ids,
		"status.opening[].instanceID":   ids,
		"status.opening[].name":         names63,
		"status.opened[]":               names63,
		"status.requests[].annotation": of(v1alpha1.AnnotationRequestedAt, v1alpha1.AnnotationResetAt,
			v1alpha1.AnnotationSilencedUntil, "é日🔥"),
		"status.requests[].value": requestsAt,
		"status.conditions[].type": of("Ready", "Healthy", "RemediationAllowed", "Reconciling",
			"Stalled", "Complete", "Complete", "example.com/Other"),
		"status.conditions[].reason": of("Running", "Recovered", "Ineffective", "Lost", "NotNeeded",
			"Withdrawn", "Observed", "Probing", "Other_1"),
		"status.ineffective.generation":          of[any](int64(1), int64(2), int64(1<<63-1)),
		"status.observedGeneration":              of[any](int64(1), int64(-1), int64(0), int64(1<<63-1)),
		"status.conditions[].observedGeneration": of[any](int64(0), int64(1), int64(1<<63-1)),
	}
	for _, targets := range []string{"spec.targets", "spec.targets.exclude"} {
		v[targets+".instanceIDs[]"] = ids
		v[targets+".tags[].key"] = keys
		v[targets+".tags[].values[]"] = tags
	}
	v["spec.process.name"] = of("httpd", "a process: (sd-pam)", "--help", `'"$(reboot)`, strings.Repeat("日", 255))
	v["spec.process.systemdUnit"] = of("httpd.service", "getty@tty1.service", "a:b.timer", strings.Repeat("u", 247)+".service")
	v["spec.process.pidFile"] = paths
	v["spec.process.command"] = commands
	for _, step := range []string{"spec.recovery.steps[]", "spec.step"} {
		v[step+".command"] = commands
		v[step+".workingDirectory"] = paths
		v[step+".document.name"] = of("Team-RestartWeb",
			"arn:aws:ssm:eu-central-1:123456789012:document/Team-RestartWeb", "Missing", strings.Repeat("d", 128))
		v[step+".document.version"] = of("1", "$LATEST", "$DEFAULT", "9999999999")
	}
	v["spec.output.cloudWatchLogGroup"] = of("/web", strings.Repeat("g", 512))
	v["spec.output.s3Bucket"] = of("web-logs", "a.b", strings.Repeat("b", 63))
	return v
})
