// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// LabelPolicy is the label of a Remediation that holds the name of its policy. A Remediation is not owned by the policy,
// so that the record survives it.
const LabelPolicy = "ssm-remediator.io/policy"

// LabelInstance is the label of a Remediation that holds its instance id.
const LabelInstance = "ssm-remediator.io/instance-id"

// FinalizerInFlight holds a Remediation until its result is recorded.
const FinalizerInFlight = "ssm-remediator.io/in-flight"

// RemediationSpec is all that an attempt needs. It is copied from the policy when the attempt is opened, and never
// changes.
type RemediationSpec struct {
	// policyRef names the policy that opened the attempt.
	// +required
	PolicyRef PolicyReference `json:"policyRef"`

	// account is the AWS account of the instance.
	// +kubebuilder:validation:MaxLength=12
	// +required
	Account string `json:"account"`

	// region is the AWS region of the instance.
	// +kubebuilder:validation:MaxLength=32
	// +required
	Region string `json:"region"`

	// instanceID is the instance.
	// +required
	InstanceID InstanceID `json:"instanceID"`

	// sequence numbers the attempts of all policies of this name on the instance,
	// from 1. The name of the Remediation follows from it, so that the same
	// attempt cannot be opened twice.
	// +kubebuilder:validation:Minimum=1
	// +required
	Sequence int64 `json:"sequence"`

	// attempt numbers the attempts of one incident, from 1.
	// +kubebuilder:validation:Minimum=1
	// +required
	Attempt int32 `json:"attempt"`

	// mode is Observe when nothing is to be done: the record says what would have
	// been. Defaults to Enforce.
	// +kubebuilder:default=Enforce
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// process is what has to be running.
	// +required
	Process ProcessSpec `json:"process"`

	// checkTimeoutSeconds is how long one check of the process may take on the
	// node, in seconds.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	// +required
	CheckTimeoutSeconds int32 `json:"checkTimeoutSeconds"`

	// startupGraceSeconds is how long after its boot the node is Held, in
	// seconds.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	// +optional
	StartupGraceSeconds int32 `json:"startupGraceSeconds,omitempty"`

	// stepIndex is the place of step in the policy's ladder, from 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=7
	// +optional
	StepIndex int32 `json:"stepIndex"`

	// step is what is done, with all defaults filled in.
	// +required
	Step RecoveryStep `json:"step"`

	// evidence are the commands whose output is kept before anything is touched.
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule="self.all(command, command.size() <= 1024)",message="each must be at most 1024 characters; put more into a script on the node and call that"
	// +listType=atomic
	// +optional
	Evidence []ShellCommand `json:"evidence,omitempty"`

	// output says what becomes of what the step prints.
	// +kubebuilder:default={}
	// +optional
	Output OutputSpec `json:"output,omitzero"`

	// openTime is when the controller opened the attempt, by its own clock.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	OpenTime metav1.MicroTime `json:"openTime"`

	// detection says what found the process down.
	// +required
	Detection Detection `json:"detection"`

	// notAfter is the time after which nothing is sent any more and the node
	// refuses to act.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	NotAfter metav1.MicroTime `json:"notAfter"`

	// ttlSecondsAfterFinished is how long the record is kept after its end, in
	// seconds. It is not less than the windows of the limits were then.
	// +kubebuilder:validation:Minimum=0
	// +required
	TTLSecondsAfterFinished int32 `json:"ttlSecondsAfterFinished"`
}

// PolicyReference names a policy as it was when a Remediation was opened. The policy may be gone since.
type PolicyReference struct {
	// name of the policy, in the namespace of the Remediation.
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// uid of the policy.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +required
	UID types.UID `json:"uid"`

	// generation of the policy whose spec was copied.
	// +required
	Generation int64 `json:"generation"`
}

// DetectionSource is what made the controller look.
//
// +kubebuilder:validation:Enum=Probe;Request
type DetectionSource string

const (
	// DetectionSourceProbe is a periodic probe.
	DetectionSourceProbe DetectionSource = "Probe"
	// DetectionSourceRequest is a probe that somebody asked for by the annotation ssm-remediator.io/requested-at.
	DetectionSourceRequest DetectionSource = "Request"
)

// Detection says what found the process down, and when.
type Detection struct {
	// source is what made the controller look.
	// +required
	Source DetectionSource `json:"source"`

	// reason is the reason of the last failed probe, for example
	// ProcessNotRunning.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`

	// message is what the last failed probe said.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`

	// firstFailureTime is when the first failed probe in a row was read.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	FirstFailureTime metav1.MicroTime `json:"firstFailureTime"`

	// time is when the last failed probe was read, on which the attempt rests.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	Time metav1.MicroTime `json:"time"`

	// commandID is the SSM command of that probe.
	// +kubebuilder:validation:MaxLength=36
	// +optional
	CommandID string `json:"commandID,omitempty"`

	// clockOffsetSeconds is how far the node's clock was ahead of the controller's
	// at that probe, in seconds; negative when it was behind. The node compares
	// notAfter with its own clock.
	// +optional
	ClockOffsetSeconds int64 `json:"clockOffsetSeconds,omitempty"`
}

// CommandPurpose is what an SSM command of a Remediation is for.
//
// +kubebuilder:validation:Enum=Check;Run;Verify
type CommandPurpose string

const (
	// CommandPurposeCheck is the command that looks again before a document is run.
	CommandPurposeCheck CommandPurpose = "Check"
	// CommandPurposeRun is the command that acts. That of a command step and of a reboot looks again first; that of a command
	// step also verifies.
	CommandPurposeRun CommandPurpose = "Run"
	// CommandPurposeVerify is the last of the commands that look whether a document or a reboot has helped.
	CommandPurposeVerify CommandPurpose = "Verify"
)

// RemediationStatus holds recorded facts.
type RemediationStatus struct {
	// conditions holds Complete. Its reason is the result.
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime > timestamp('1000-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('9999-01-01T00:00:00Z'))",message="lastTransitionTime must be a time in UTC between the years 1000 and 9999, for example 2026-03-29T12:00:00Z"
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// commands are the SSM commands of the attempt, by purpose.
	// +kubebuilder:validation:MaxItems=4
	// +listType=map
	// +listMapKey=purpose
	// +optional
	Commands []CommandStatus `json:"commands,omitempty"`

	// exitCode is the exit code of the step, once it has ended by itself.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`

	// evidence is what the commands of spec.evidence printed before anything was
	// touched, in their order.
	// +kubebuilder:validation:MaxItems=4
	// +listType=atomic
	// +optional
	Evidence []Evidence `json:"evidence,omitempty"`

	// output is the beginning of what the step printed, at most 2 KiB, without
	// control characters. It may hold secrets: reading Remediations is a role of
	// its own.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Output string `json:"output,omitempty"`

	// startTime is when the controller took the attempt up.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`

	// completionTime is when the result was known.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	CompletionTime *metav1.MicroTime `json:"completionTime,omitempty"`

	// took is the time from the detection to the result, in whole seconds.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,6}h)?([0-9]{1,2}m)?[0-9]{1,2}s$`
	// +optional
	Took *metav1.Duration `json:"took,omitempty"`
}

// Evidence is what one command of spec.evidence printed.
type Evidence struct {
	// exitCode is the exit code of the command; absent when it was ended after 10
	// seconds.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`

	// output is the beginning of what it printed, at most 1 KiB, without control
	// characters.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Output string `json:"output,omitempty"`
}

// CommandStatus is one SSM command. The intent is recorded before it is sent; what is not recorded is not sent. Those that
// Verify may be sent any number of times.
type CommandStatus struct {
	// purpose is what the command is for.
	// +required
	Purpose CommandPurpose `json:"purpose"`

	// intentTime is when the controller recorded that it is about to send. It is
	// written once: a command whose intent is recorded may have been sent, and is
	// looked up instead of being sent again.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	IntentTime metav1.MicroTime `json:"intentTime"`

	// commandID is the id that AWS gave the command, once it is known.
	// +kubebuilder:validation:MaxLength=36
	// +optional
	CommandID string `json:"commandID,omitempty"`

	// sendTime is when AWS accepted the command.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	SendTime *metav1.MicroTime `json:"sendTime,omitempty"`

	// completionTime is when the controller read the final status.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	CompletionTime *metav1.MicroTime `json:"completionTime,omitempty"`

	// probeTime is when Check looked at the process, by the node's word, in the
	// controller's clock. The document is not sent much later than that.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	ProbeTime *metav1.MicroTime `json:"probeTime,omitempty"`

	// status is the last StatusDetails that AWS reported, for example InProgress
	// or Success.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Status string `json:"status,omitempty"`

	// bootID is the boot of the node in which the command looked at the process,
	// as the node reported it. A reboot has come when that of Verify is another
	// than that of Run.
	// +kubebuilder:validation:MaxLength=36
	// +optional
	BootID string `json:"bootID,omitempty"`
}

// Remediation is one attempt to recover the process on one instance: what was found, what was sent, what came of it. The
// controller creates it; it is the audit trail and what the limits count.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rem
// +kubebuilder:selectablefield:JSONPath=`.spec.policyRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.instanceID`
// +kubebuilder:validation:XValidation:rule="self.spec == oldSelf.spec",message="spec is the record of an attempt and cannot be changed; to try again, the policy opens a new Remediation",fieldPath=".spec"
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.policyRef.name`,description="The policy that opened the attempt."
// +kubebuilder:printcolumn:name="Instance",type=string,JSONPath=`.spec.instanceID`,description="The instance."
// +kubebuilder:printcolumn:name="Attempt",type=integer,JSONPath=`.spec.attempt`,description="Number of the attempt within its incident."
// +kubebuilder:printcolumn:name="Result",type=string,JSONPath=`.status.conditions[?(@.type=="Complete")].reason`,description="What came of it; Running while it is in flight."
// +kubebuilder:printcolumn:name="Exit",type=integer,JSONPath=`.status.exitCode`,description="Exit code of the step."
// +kubebuilder:printcolumn:name="Took",type=string,JSONPath=`.status.took`,description="Time from the detection to the result."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Command",type=string,priority=1,JSONPath=`.status.commands[?(@.purpose=="Run")].commandID`,description="The SSM command."
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Complete")].message`,description="What happened, in words."
type Remediation struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is all that the attempt needs, copied from the policy.
	// +required
	Spec RemediationSpec `json:"spec"`

	// status holds recorded facts.
	// +optional
	Status RemediationStatus `json:"status,omitzero"`
}

// RemediationList is a list of Remediation.
//
// +kubebuilder:object:root=true
type RemediationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Remediation `json:"items"`
}
