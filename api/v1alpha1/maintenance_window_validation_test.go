// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"
)

const (
	aWindow     = `{"schedule":"%d 2 * * 6","durationSeconds":3600,"action":"Deny"}`
	badSchedule = `must be the five fields of a cron schedule with one blank between them, for example "0 2 * * 6"; the time zone goes into timeZone`
	badZone     = "must be the name of a time zone, for example Europe/Berlin"
)

// windows is the merge patch that gives a policy these windows.
func windows(list string) string { return `{"spec":{"maintenanceWindows":` + list + `}}` }

// scheduled is that of a single one with this schedule.
func scheduled(schedule string) string {
	return windows(`[{"schedule":"` + schedule + `","durationSeconds":3600,"action":"Allow"}]`)
}

// inZone is that of a single one in this time zone.
func inZone(zone string) string {
	return windows(`[{"schedule":"0 2 * * 6","durationSeconds":3600,"timeZone":"` + zone + `","action":"Allow"}]`)
}

func TestWindowsAccepted(t *testing.T) {
	acceptAll(t, policy, map[string]string{
		"16 windows":    windows(list(16, aWindow)),
		"both actions":  windows(`[{"schedule":"0 2 * * 6","durationSeconds":60,"action":"Allow"},{"schedule":"0 3 * * 6","durationSeconds":604800,"action":"Deny"}]`),
		"the same ones": windows(`[{"schedule":"0 2 * * 6","durationSeconds":60,"action":"Allow"},{"schedule":"0 2 * * 6","durationSeconds":60,"action":"Allow"}]`),

		"every minute":    scheduled("* * * * *"),
		"lists and steps": scheduled("*/15 0-6,22 1,15 * 1-5/2"),
		"names":           scheduled("0 2 ? JAN-MAR Sat,sun"),
		"a long schedule": scheduled("0 2 * * " + strings.Repeat("6", 92)),

		"UTC":         inZone("UTC"),
		"a place":     inZone("Europe/Berlin"),
		"three parts": inZone("America/Argentina/Buenos_Aires"),
		"an offset":   inZone("Etc/GMT+5"),
		"hyphens":     inZone("America/Port-au-Prince"),
		"digits":      inZone("EST5EDT"),
		"a long name": inZone(strings.Repeat("a", 64)),
	})
}

var rejectedWindows = map[string]refusal{
	"none in a list": {windows(`[]`), "spec.maintenanceWindows", "should have at least 1 items"},
	"17 windows":     {windows(list(17, aWindow)), "spec.maintenanceWindows", "must have at most 16 items"},
	"one of no schedule": {windows(`[{"durationSeconds":3600,"action":"Deny"}]`), "spec.maintenanceWindows[0].schedule",
		"Required value"},
	"one of no length": {windows(`[{"schedule":"0 2 * * 6","action":"Deny"}]`), "spec.maintenanceWindows[0].durationSeconds",
		"Required value"},
	"one of no action": {windows(`[{"schedule":"0 2 * * 6","durationSeconds":3600}]`), "spec.maintenanceWindows[0].action",
		"Required value"},
	"an unknown action": {windows(`[{"schedule":"0 2 * * 6","durationSeconds":3600,"action":"allow"}]`),
		"spec.maintenanceWindows[0].action", `supported values: "Allow", "Deny"`},
	"a length in words": {windows(`[{"schedule":"0 2 * * 6","durationSeconds":"1h","action":"Deny"}]`),
		"spec.maintenanceWindows[0].durationSeconds", "must be of type integer"},

	"an empty schedule": {scheduled(""), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a short form":      {scheduled("@daily"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"an interval":       {scheduled("@every 1h"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"four fields":       {scheduled("0 2 * *"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"six fields":        {scheduled("0 0 2 * * 6"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"TZ in it":          {scheduled("TZ=UTC 0 2 * * 6"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"CRON_TZ in it":     {scheduled("CRON_TZ=Europe/Berlin 0 2 * * 6"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a second blank":    {scheduled("0 2  * * 6"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a blank before":    {scheduled(" 0 2 * * 6"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a blank behind":    {scheduled("0 2 * * 6 "), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a newline behind":  {scheduled(`0 2 * * 6\n`), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a tab":             {scheduled(`0\t2 * * 6`), "spec.maintenanceWindows[0].schedule", badSchedule},
	"the second Friday": {scheduled("0 2 * * 5#2"), "spec.maintenanceWindows[0].schedule", badSchedule},
	"a long schedule": {scheduled("0 2 * * " + strings.Repeat("6", 93)), "spec.maintenanceWindows[0].schedule",
		"may not be more than 100 bytes"},

	"the node's own zone": {inZone("Local"), "spec.maintenanceWindows[0].timeZone", badZone},
	"an empty zone":       {inZone(""), "spec.maintenanceWindows[0].timeZone", "should be at least 1 chars long"},
	"a bare offset":       {inZone("+02:00"), "spec.maintenanceWindows[0].timeZone", badZone},
	"a zone in words":     {inZone("Central European Time"), "spec.maintenanceWindows[0].timeZone", badZone},
	"a path":              {inZone("../../etc/passwd"), "spec.maintenanceWindows[0].timeZone", badZone},
	"an absolute path":    {inZone("/etc/localtime"), "spec.maintenanceWindows[0].timeZone", badZone},
	"a path within":       {inZone("Europe/../Berlin"), "spec.maintenanceWindows[0].timeZone", badZone},
	"a long zone": {inZone(strings.Repeat("a", 65)), "spec.maintenanceWindows[0].timeZone",
		"may not be more than 64 bytes"},
}

func TestWindowsRejected(t *testing.T) { rejectAll(t, policy, rejectedWindows) }
