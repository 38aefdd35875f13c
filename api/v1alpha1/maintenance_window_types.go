// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MaintenanceWindow is a stretch of time that comes again and again.
type MaintenanceWindow struct {
	// schedule is when the window begins, as in cron: minute, hour, day of month,
	// month and day of week, for example `0 2 * * 6`. A beginning that falls into
	// the hour that daylight saving leaves out is when the clocks are changed.
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9A-Za-z*/,?-]+( [0-9A-Za-z*/,?-]+){4}$')",message="must be the five fields of a cron schedule with one blank between them, for example \"0 2 * * 6\"; the time zone goes into timeZone"
	// +required
	Schedule string `json:"schedule"`

	// durationSeconds is how long the window is, in seconds.
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	// +required
	DurationSeconds int32 `json:"durationSeconds"`

	// timeZone of the schedule, a name of the IANA time zone database, for example
	// Europe/Berlin. Defaults to UTC.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$') && self != 'Local'",message="must be the name of a time zone, for example Europe/Berlin"
	// +optional
	TimeZone string `json:"timeZone,omitempty"`

	// action says what the window does: Allow recovery, or Deny it. Deny wins.
	// +required
	Action WindowAction `json:"action"`
}

// WindowAction says what a maintenance window does.
//
// +kubebuilder:validation:Enum=Allow;Deny
type WindowAction string

const (
	// WindowAllow lets recovery run within the window.
	WindowAllow WindowAction = "Allow"
	// WindowDeny keeps recovery from running within the window.
	WindowDeny WindowAction = "Deny"
)
