// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// window is a maintenance window whose schedule and time zone are understood.
type window struct {
	action   v1alpha1.WindowAction
	schedule cron.Schedule
	zone     *time.Location
	duration time.Duration
	// seen is what was last found out about it. To walk through the schedule of a rare window takes milliseconds.
	seen *stretch
}

// stretch is the time from a moment to the next beginning of a window.
type stretch struct {
	from, next time.Time
	// end is when the window ends that began last before it, also when that was earlier; zero when that is long ago.
	end time.Time
}

// windowsOf reads spec.maintenanceWindows. The API server can only check their form; the error says which one is wrong, and
// how.
func windowsOf(now time.Time, spec *v1alpha1.RemediationPolicySpec) ([]window, error) {
	windows := make([]window, 0, len(spec.MaintenanceWindows))
	for n, declared := range spec.MaintenanceWindows {
		schedule, err := parseSchedule(declared.Schedule)
		if err != nil {
			return nil, fmt.Errorf("spec.maintenanceWindows[%d].schedule %q: %w", n, declared.Schedule, err)
		}
		zone, err := time.LoadLocation(cmp.Or(declared.TimeZone, "UTC"))
		if err != nil {
			return nil, fmt.Errorf("spec.maintenanceWindows[%d].timeZone %q: %w; use a name of the IANA time zone database, for "+
				"example Europe/Berlin", n, declared.TimeZone, err)
		}
		if schedule.Next(now.In(zone)).IsZero() {
			return nil, fmt.Errorf("spec.maintenanceWindows[%d].schedule %q: there is no such day", n, declared.Schedule)
		}
		windows = append(windows, window{declared.Action, schedule, zone, seconds(declared.DurationSeconds), &stretch{}})
	}
	return windows, nil
}

// fiveFields are what a schedule consists of: no seconds, and no names such as @daily.
var fiveFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parseSchedule reads a schedule. The library would also take a time zone in it, and panics when nothing follows that.
func parseSchedule(text string) (cron.Schedule, error) {
	if strings.Contains(text, "=") {
		return nil, errors.New("the time zone goes into timeZone")
	}
	return fiveFields.Parse(text)
}

// begin is when the window begins next after a time.
func (w window) begin(after time.Time) time.Time {
	next := w.schedule.Next(after.In(w.zone))
	if skipped := w.skipped(after, next); !skipped.IsZero() {
		return skipped
	}
	return next
}

// skipped is the first beginning between two times that the cron library does not see, because the clocks are set forward; zero
// when there is none. One that the change leaves out begins with it: otherwise a window that denies would not be there for
// that night. And where the clocks are changed at midnight, the library passes over all of that day when it comes from the
// day before.
func (w window) skipped(after, before time.Time) time.Time {
	for at := after; ; {
		_, change := at.In(w.zone).ZoneBounds()
		if change.IsZero() || !change.Before(before) {
			return time.Time{}
		}
		if !change.After(at) {
			// From 2040 on the time package sees a change on the last day of a leap year, and none after that.
			at = at.Add(24 * time.Hour)
			continue
		}
		name, old := change.Add(-time.Second).In(w.zone).Zone()
		_, offset := change.In(w.zone).Zone()
		// As the old clock would have gone on.
		missed := w.schedule.Next(change.Add(-time.Second).In(time.FixedZone(name, old)))
		if gap := time.Duration(offset-old) * time.Second; gap > 0 {
			if missed.Before(change.Add(gap)) {
				return change
			}
			if after := w.schedule.Next(change.Add(-time.Second).In(w.zone)); after.Before(before) {
				return after
			}
		}
		at = change
	}
}

// at is how the window stands at a time: when it ends, zero when it is not open, and when it begins next.
func (w window) at(at time.Time) (until, begins time.Time) {
	if at.Before(w.seen.from) || !at.Before(w.seen.next) {
		*w.seen = stretch{from: at, next: w.begin(at), end: w.openUntil(at)}
	}
	if w.seen.end.After(at) {
		until = w.seen.end
	}
	return until, w.seen.next
}

// openUntil is when the window that is open at a time ends; zero when it is not open.
func (w window) openUntil(at time.Time) time.Time {
	// Beginnings may be close together. Looking back in growing steps finds the last one without going through all.
	for back := time.Minute; ; back = min(2*back, w.duration) {
		last := time.Time{}
		for begin := w.begin(at.Add(-back)); !begin.After(at); begin = w.begin(begin) {
			last = begin
		}
		if !last.IsZero() {
			return last.Add(w.duration)
		}
		if back >= w.duration {
			return time.Time{}
		}
	}
}

// maxBoundaries bounds the search for the next time at which recovery may run.
const maxBoundaries = 1000

// outsideWindows waits for the maintenance windows. Deny wins over Allow, and without any window of the action Allow recovery
// may run at all times that are not denied.
func outsideWindows(now time.Time, windows []window) *Wait {
	why := denied(now, windows)
	if why == nil {
		return nil
	}
	for range maxBoundaries {
		next := denied(why.Until, windows)
		if next == nil {
			return why
		}
		why.Until = next.Until
	}
	why.Until = time.Time{}
	return why
}

// denied says why recovery may not run at a time, and until when that at least lasts.
func denied(at time.Time, windows []window) *Wait {
	var opens time.Time
	allowing, open := false, false
	for _, w := range windows {
		until, begin := w.at(at)
		switch {
		case w.action == v1alpha1.WindowDeny:
			if !until.IsZero() {
				return &Wait{v1alpha1.ReasonMaintenanceWindow, "within a window that denies recovery (spec.maintenanceWindows)", until}
			}
			continue
		case !until.IsZero():
			open = true
		}
		allowing = true
		if opens.IsZero() || begin.Before(opens) {
			opens = begin
		}
	}
	if allowing && !open {
		return &Wait{v1alpha1.ReasonMaintenanceWindow, "outside of all windows that allow recovery (spec.maintenanceWindows)", opens}
	}
	return nil
}
