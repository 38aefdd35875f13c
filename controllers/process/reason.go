// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

// Reasons of a Healthy verdict.
const (
	// ReasonProcessRunning means that a process of the name, or the one of the pid file, runs.
	ReasonProcessRunning = "ProcessRunning"
	// ReasonUnitActive means that the unit is active.
	ReasonUnitActive = "UnitActive"
	// ReasonCheckPassed means that the check exited 0.
	ReasonCheckPassed = "CheckPassed"
)

// Reasons of an Unhealthy verdict.
const (
	// ReasonProcessNotRunning means that no process of the name, or not the one of the pid file, runs on the host. A
	// zombie does not run.
	ReasonProcessNotRunning = "ProcessNotRunning"
	// ReasonPIDFileMissing means that the pid file does not exist.
	ReasonPIDFileMissing = "PIDFileMissing"
	// ReasonPIDFileInvalid means that the pid file does not begin with a process id.
	ReasonPIDFileInvalid = "PIDFileInvalid"
	// ReasonPIDReused means that another process has got the id in the pid file: it is younger than the file, or in a
	// container.
	ReasonPIDReused = "PIDReused"
	// ReasonUnitInactive means that the unit is inactive: it never ran, or was stopped in order.
	ReasonUnitInactive = "UnitInactive"
	// ReasonUnitFailed means that the unit has failed.
	ReasonUnitFailed = "UnitFailed"
	// ReasonCheckFailed means that the check exited with a code that is not 0.
	ReasonCheckFailed = "CheckFailed"
	// ReasonCheckTimedOut means that the check did not end in time.
	ReasonCheckTimedOut = "CheckTimedOut"
)

// Reasons of a Held verdict.
const (
	// ReasonHoldFile means that there is a hold file on the node.
	ReasonHoldFile = "HoldFile"
	// ReasonNodeBooting means that the process is down and the node has booted within the grace: it may still start it.
	ReasonNodeBooting = "NodeBooting"
	// ReasonUnitStopped means that the unit was stopped in order, and the policy respects that.
	ReasonUnitStopped = "UnitStopped"
	// ReasonUnitMasked means that the unit is masked.
	ReasonUnitMasked = "UnitMasked"
	// ReasonUnitChanging means that systemd is starting, stopping or reloading the unit.
	ReasonUnitChanging = "UnitChanging"
)

// Reasons of an Unknown verdict.
const (
	// ReasonNotLinux means that the node does not run Linux, or has no /proc of the agent's own pid namespace.
	ReasonNotLinux = "NotLinux"
	// ReasonMissingTool means that the node lacks a program that the scripts need, or all of those that can reboot it when
	// that is the step; the message names them.
	ReasonMissingTool = "MissingTool"
	// ReasonAgentInContainer means that the agent runs in a container and sees other processes than the host's.
	ReasonAgentInContainer = "AgentInContainer"
	// ReasonNodeDiskFull means that the file system of /var/lib is almost out of space or inodes.
	ReasonNodeDiskFull = "NodeDiskFull"
	// ReasonNamespaceUnreadable means that it cannot be told whether a process of the name is in a container.
	ReasonNamespaceUnreadable = "NamespaceUnreadable"
	// ReasonPIDFileUnreadable means that the pid file is a directory, a device, or cannot be read.
	ReasonPIDFileUnreadable = "PIDFileUnreadable"
	// ReasonUnitNotFound means that the node has no such unit.
	ReasonUnitNotFound = "UnitNotFound"
	// ReasonUnitNotLoaded means that systemd cannot load the unit, or reports a state that is not known here.
	ReasonUnitNotLoaded = "UnitNotLoaded"
	// ReasonSystemdUnavailable means that systemd did not answer: it does not run here, or it hangs.
	ReasonSystemdUnavailable = "SystemdUnavailable"
	// ReasonCheckNotRunnable means that the check cannot be found or run (exit code 126 or 127).
	ReasonCheckNotRunnable = "CheckNotRunnable"
	// ReasonScratchUnavailable means that the scripts cannot make their files in /run/ssm-remediator.
	ReasonScratchUnavailable = "ScratchUnavailable"
)

// Reasons of the result Withheld, besides those of a Held or Unknown verdict.
const (
	// ReasonTooLate means that the node got to the recovery only after its NotAfter.
	ReasonTooLate = "TooLate"
	// ReasonOtherRecovery means that another recovery holds the lock of the node.
	ReasonOtherRecovery = "OtherRecovery"
	// ReasonAlreadyRan means that a recovery of this UID has run on the node before, or is running: the agent has got its
	// command twice, or runs it again, for a reboot after the boot. This run did nothing; the other one did, or may.
	ReasonAlreadyRan = "AlreadyRan"
	// ReasonCannotRecord means that the marker or the lock cannot be written, without which nothing is done.
	ReasonCannotRecord = "CannotRecord"
)
