// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// InstanceID names an EC2 instance (`i-`, 8 or 17 hexadecimal digits) or a hybrid node (`mi-`, 17), in the form in which
// SendCommand takes it.
//
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self.matches('^(i-([0-9a-f]{8}|[0-9a-f]{17})|mi-[0-9a-f]{17})$')",message="must be an instance id such as i-0a1b2c3d4e5f67890 (EC2) or mi-0a1b2c3d4e5f67890 (hybrid node)"
type InstanceID string

// ShellCommand is a POSIX shell command line or script that runs as root on the node. It is no place for a secret: AWS
// keeps the parameters of a command for 30 days, readable by whoever may list commands.
//
// `{{` is refused because Systems Manager would resolve `{{ssm:name}}` before the command reaches the node. The length
// leaves room for two such commands within the 64 KB that SendCommand accepts.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=8192
// +kubebuilder:validation:XValidation:rule="self.matches('[^ \\t\\r\\n]')",message="must not be blank: write the command to run"
// +kubebuilder:validation:XValidation:rule="!self.contains('{{')",message="must not contain '{{', which Systems Manager would resolve as a parameter; put such text into a file on the node and read it from there"
// +kubebuilder:validation:XValidation:rule="!self.matches('\\x00')",message="must not contain a NUL character; remove it"
type ShellCommand string

// AbsolutePath is a file or directory on the node.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="must be an absolute path, starting with /: the agent silently ignores relative ones"
// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\x00-\\x1f]*$') && !self.contains('{{')",message="must not contain control characters or '{{'; rename the file"
type AbsolutePath string

// ProcessSpec says what has to be running. Exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.name), has(self.systemdUnit), has(self.pidFile), has(self.command)].exists_one(x, x)",message="set exactly one of name, systemdUnit, pidFile and command"
// +kubebuilder:validation:XValidation:rule="!has(self.onCleanStop) || has(self.systemdUnit)",message="onCleanStop goes with systemdUnit, which alone can tell a stop from a failure; remove it or name the unit"
type ProcessSpec struct {
	// name is the exact name of the process, as `ps -e` shows it, for example
	// apache2. Names over 15 characters, which the kernel cuts off, are compared
	// with the executable and the command line. Zombies and processes inside
	// containers on the node do not count.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^/\\x00-\\x1f]+$') && !self.contains('{{')",message="must be the plain name of the process, without '/', control characters or '{{'; to check something else use command"
	// +optional
	Name string `json:"name,omitempty"`

	// systemdUnit is the full name of a unit that has to be active, for example
	// httpd.service. While systemd itself starts, stops or reloads the unit, or
	// when it is masked, the instance is Held.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9:_.@-]+[.](service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$') && !self.startsWith('-')",message="must be a full unit name with its type, for example httpd.service"
	// +optional
	SystemdUnit string `json:"systemdUnit,omitempty"`

	// pidFile is the path of a file that holds the process id. The process has to
	// be alive and not younger than the file: otherwise the id was reused.
	// +optional
	PIDFile AbsolutePath `json:"pidFile,omitempty"`

	// command is a check that exits 0 when the process is healthy, and otherwise
	// with another code, for example `curl -fsS -m 3 http://127.0.0.1/healthz`.
	// One that cannot be found or run (exit 126 or 127), or does not end within
	// probe.timeoutSeconds, is explained in the reason; only the time-out counts
	// as unhealthy.
	// +optional
	Command ShellCommand `json:"command,omitempty"`

	// onCleanStop says what to do about a unit that was stopped in order, and
	// not by a failure: Recover it, or Hold, so that `systemctl stop` on the
	// node is respected. Defaults to Recover.
	// +optional
	OnCleanStop CleanStopPolicy `json:"onCleanStop,omitempty"`
}

// CleanStopPolicy says what to do about a unit that was stopped in order.
//
// +kubebuilder:validation:Enum=Recover;Hold
type CleanStopPolicy string

const (
	// CleanStopRecover recovers the unit as after a failure.
	CleanStopRecover CleanStopPolicy = "Recover"
	// CleanStopHold holds the instance until the unit is started again.
	CleanStopHold CleanStopPolicy = "Hold"
)

// ProbeSpec says how often the process is probed and when it counts as down, as in the probes of a Pod.
//
// +kubebuilder:validation:XValidation:rule="!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds",message="timeoutSeconds must not be more than periodSeconds; raise periodSeconds or lower timeoutSeconds"
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Watch' || !has(self.watchSeconds) || !has(self.periodSeconds) || self.periodSeconds <= self.watchSeconds",message="with mode Watch periodSeconds must not be more than watchSeconds, or no probe would stay; raise watchSeconds or lower periodSeconds"
type ProbeSpec struct {
	// mode is Interval, or Watch to have each probe stay on the node and report
	// the moment that the process is down: detection takes seconds, and there
	// are fewer commands by about watchSeconds / periodSeconds. It keeps one of
	// the 5 workers busy on which the agent of a node runs commands, so at most
	// one policy watches a node at a time; the others look once a period, as
	// with Interval. Defaults to Interval.
	// +kubebuilder:default=Interval
	// +optional
	Mode ProbeMode `json:"mode,omitempty"`

	// watchSeconds is how long a probe stays on the node in mode Watch before
	// it is renewed, in seconds. It looks every second, until failureThreshold
	// looks in a row found the process down. Defaults to 300.
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=3600
	// +optional
	WatchSeconds int32 `json:"watchSeconds,omitempty"`

	// periodSeconds is the time between two probes of an instance, in seconds.
	// Defaults to 30.
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	// +optional
	PeriodSeconds int32 `json:"periodSeconds,omitempty"`

	// timeoutSeconds is how long one check may take on the node, in seconds. A
	// check that takes longer is unhealthy. Defaults to 10.
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	// +optional
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`

	// failureThreshold is how many probes in a row have to find the process down
	// before it is recovered. Defaults to 2.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	FailureThreshold int32 `json:"failureThreshold,omitempty"`

	// confirmSeconds is how long after a failed probe the instance is probed
	// again, alone, until failureThreshold is reached, in seconds. Defaults to 5.
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	// +optional
	ConfirmSeconds int32 `json:"confirmSeconds,omitempty"`

	// successThreshold is how many probes in a row have to find the process
	// running before an instance that was down is Healthy again. Defaults to 1.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	SuccessThreshold int32 `json:"successThreshold,omitempty"`

	// startupGraceSeconds is how long after its boot a node on which the
	// process is down is Held, because it may still be starting it, in seconds.
	// Defaults to 300.
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	// +optional
	StartupGraceSeconds *int32 `json:"startupGraceSeconds,omitempty"`
}

// ProbeMode says how long a probe looks.
//
// +kubebuilder:validation:Enum=Interval;Watch
type ProbeMode string

const (
	// ProbeInterval looks once every periodSeconds.
	ProbeInterval ProbeMode = "Interval"
	// ProbeWatch stays on the node for watchSeconds, and looks all the time.
	ProbeWatch ProbeMode = "Watch"
)

// Health is what a probe found out about the process on one instance.
//
// +kubebuilder:validation:Enum=Healthy;Unhealthy;Held;Unknown
type Health string

const (
	// HealthHealthy means that the process runs.
	HealthHealthy Health = "Healthy"
	// HealthUnhealthy means that the probe looked, on the node, and the process
	// does not run. Only this is acted on.
	HealthUnhealthy Health = "Unhealthy"
	// HealthHeld means that the node says hands off: a hold file, a masked unit,
	// or a unit that systemd is just changing.
	HealthHeld Health = "Held"
	// HealthUnknown means that nobody knows: the node or AWS did not answer, or
	// the probe could not look.
	HealthUnknown Health = "Unknown"
)
