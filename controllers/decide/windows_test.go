// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const hour = 3600

func allow(schedule string, seconds int32, zone string) v1alpha1.MaintenanceWindow {
	return v1alpha1.MaintenanceWindow{Schedule: schedule, DurationSeconds: seconds, TimeZone: zone, Action: v1alpha1.WindowAllow}
}

func deny(schedule string, seconds int32, zone string) v1alpha1.MaintenanceWindow {
	w := allow(schedule, seconds, zone)
	w.Action = v1alpha1.WindowDeny
	return w
}

func at(t *testing.T, text string) time.Time {
	parsed, err := time.Parse(time.RFC3339, text)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return parsed
}

// TestWindows asserts until when recovery is denied at a time; empty when it is not.
func TestWindows(t *testing.T) {
	const berlin, newYork = "Europe/Berlin", "America/New_York"
	night := []v1alpha1.MaintenanceWindow{allow("0 2 * * *", 2*hour, "")}
	tests := map[string]struct {
		windows   []v1alpha1.MaintenanceWindow
		now, want string
	}{
		"without windows":                           {nil, "2026-03-10T12:00:00Z", ""},
		"before the window that allows":             {night, "2026-03-10T01:59:59Z", "2026-03-10T02:00:00Z"},
		"at its begin":                              {night, "2026-03-10T02:00:00Z", ""},
		"in its last second":                        {night, "2026-03-10T03:59:59Z", ""},
		"at its end":                                {night, "2026-03-10T04:00:00Z", "2026-03-11T02:00:00Z"},
		"a time zone":                               {[]v1alpha1.MaintenanceWindow{allow("0 2 * * *", hour, berlin)}, "2026-03-10T01:30:00Z", ""},
		"a weekday":                                 {[]v1alpha1.MaintenanceWindow{allow("0 2 * * 6", hour, "")}, "2026-03-10T02:30:00Z", "2026-03-14T02:00:00Z"},
		"longer than a day":                         {[]v1alpha1.MaintenanceWindow{allow("0 0 * * 6", 48*hour, "")}, "2026-03-15T23:00:00Z", ""},
		"within one that denies":                    {[]v1alpha1.MaintenanceWindow{deny("0 9 * * 1-5", 8*hour, "")}, "2026-03-10T12:00:00Z", "2026-03-10T17:00:00Z"},
		"outside of one that denies":                {[]v1alpha1.MaintenanceWindow{deny("0 9 * * 1-5", 8*hour, "")}, "2026-03-10T17:00:00Z", ""},
		"windows that begin each minute run on":     {[]v1alpha1.MaintenanceWindow{allow("* * * * *", 604800, "")}, "2026-03-10T12:00:30Z", ""},
		"deny wins, until both agree":               {append([]v1alpha1.MaintenanceWindow{deny("0 2 * * *", hour, "")}, night...), "2026-03-10T02:30:00Z", "2026-03-10T03:00:00Z"},
		"denied when the next one allows":           {append([]v1alpha1.MaintenanceWindow{deny("0 1 * * *", 2*hour, "")}, night...), "2026-03-09T12:00:00Z", "2026-03-10T03:00:00Z"},
		"never, when all that is allowed is denied": {append([]v1alpha1.MaintenanceWindow{deny("0 0 * * *", 24*hour, "")}, night...), "2026-03-10T02:30:00Z", "0001-01-01T00:00:00Z"},
		"denied at all times, week after week":      {append([]v1alpha1.MaintenanceWindow{deny("0 2 * * 6", 604800, berlin)}, night...), "2026-03-10T12:00:00Z", "0001-01-01T00:00:00Z"},
		"on the last day of 2040":                   {[]v1alpha1.MaintenanceWindow{allow("0 0 1 1 *", hour, newYork)}, "2040-12-31T12:00:00Z", "2041-01-01T05:00:00Z"},
		"any one of several that allow":             {append([]v1alpha1.MaintenanceWindow{allow("0 14 * * *", hour, "")}, night...), "2026-03-10T12:00:00Z", "2026-03-10T14:00:00Z"},

		// In Berlin 02:00 to 03:00 is left out on 29 March 2026: 01:00 UTC is the change.
		"the hour that is left out, denied":  {[]v1alpha1.MaintenanceWindow{deny("30 2 * * *", hour, berlin)}, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"},
		"not before the clocks are changed":  {[]v1alpha1.MaintenanceWindow{deny("30 2 * * *", hour, berlin)}, "2026-03-29T00:59:59Z", ""},
		"the hour that is left out, allowed": {[]v1alpha1.MaintenanceWindow{allow("30 2 * * *", hour, berlin)}, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		"after it, at the usual time again":  {[]v1alpha1.MaintenanceWindow{allow("30 2 * * *", hour, berlin)}, "2026-03-29T12:00:00Z", "2026-03-30T00:30:00Z"},
		"a window over the hour left out":    {[]v1alpha1.MaintenanceWindow{allow("30 1 * * *", hour, berlin)}, "2026-03-29T01:15:00Z", ""},
		// In Cairo the clocks are changed at midnight: 24 April 2026, a Friday, begins at 01:00, which is 22:00 UTC of the day before.
		"a day that begins an hour later": {[]v1alpha1.MaintenanceWindow{deny("0 2 * * 5", hour, "Africa/Cairo")}, "2026-04-23T23:30:00Z", "2026-04-24T00:00:00Z"},
		"and the hour that it lacks":      {[]v1alpha1.MaintenanceWindow{deny("30 0 * * 5", hour, "Africa/Cairo")}, "2026-04-23T22:15:00Z", "2026-04-23T23:00:00Z"},
		"the window of that day is next":  {[]v1alpha1.MaintenanceWindow{allow("0 2 * * 5", hour, "Africa/Cairo")}, "2026-04-22T12:00:00Z", "2026-04-23T23:00:00Z"},
		// In New York 01:00 to 02:00 comes twice on 1 November 2026: at 05:00 and at 06:00 UTC.
		"the hour that comes twice, first":  {[]v1alpha1.MaintenanceWindow{deny("30 1 * * *", hour, newYork)}, "2026-11-01T05:45:00Z", "2026-11-01T07:30:00Z"},
		"the hour that comes twice, second": {[]v1alpha1.MaintenanceWindow{deny("30 1 * * *", hour, newYork)}, "2026-11-01T06:45:00Z", "2026-11-01T07:30:00Z"},
		"between the two":                   {[]v1alpha1.MaintenanceWindow{deny("30 1 * * *", 600, newYork)}, "2026-11-01T06:00:00Z", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			policy := &v1alpha1.RemediationPolicy{Spec: *defaults()}
			policy.Spec.MaintenanceWindows = test.windows
			no := Forbidden(at(t, test.now), policy, Surroundings{})
			if test.want == "" {
				g.Expect(no).To(BeNil())
				return
			}
			g.Expect(no).NotTo(BeNil())
			g.Expect(no.Reason).To(Equal(v1alpha1.ReasonMaintenanceWindow))
			g.Expect(no.Until).To(BeTemporally("==", at(t, test.want)))
		})
	}
}

func TestBadWindow(t *testing.T) {
	tests := map[string]struct {
		window v1alpha1.MaintenanceWindow
		want   string
	}{
		"a good one":             {allow("0 2 * * *", hour, "Europe/Berlin"), ""},
		"hour 25":                {allow("0 25 * * *", hour, ""), `spec.maintenanceWindows[0].schedule "0 25 * * *": end of range (25) above maximum (23)`},
		"a zone that is none":    {allow("0 2 * * *", hour, "Europe/Berlim"), `spec.maintenanceWindows[0].timeZone "Europe/Berlim": unknown time zone`},
		"a day that never comes": {allow("0 2 30 2 *", hour, ""), `spec.maintenanceWindows[0].schedule "0 2 30 2 *": there is no such day`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			policy := &v1alpha1.RemediationPolicy{Spec: *defaults()}
			policy.Spec.MaintenanceWindows = []v1alpha1.MaintenanceWindow{test.window}
			bad := BadWindow(noon, &policy.Spec)
			if test.want == "" {
				g.Expect(bad).To(BeNil())
				return
			}
			g.Expect(bad.Message).To(HavePrefix(test.want))
			g.Expect(Forbidden(noon, policy, Surroundings{})).To(Equal(bad), "a window that nobody understands forbids")
		})
	}
}
