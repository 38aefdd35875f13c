// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RecoveryStep is one rung of the ladder: a command, a document of Systems Manager, or a reboot. Exactly one is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.command), has(self.document), has(self.reboot)].exists_one(x, x)",message="say what to do: set exactly one of command, document and reboot (written as reboot: {})"
// +kubebuilder:validation:XValidation:rule="!has(self.workingDirectory) || has(self.command)",message="workingDirectory goes with command; remove it or set command"
// +kubebuilder:validation:XValidation:rule="!has(self.timeoutSeconds) || !has(self.reboot)",message="a reboot ends when the node is up again: set verifySeconds instead of timeoutSeconds"
type RecoveryStep struct {
	// command is run by `sh` as root in a session of its own; what it starts
	// survives it. The process is looked at again right before it, and until it
	// is healthy after it, all in one SSM command.
	// +optional
	Command ShellCommand `json:"command,omitempty"`

	// workingDirectory is where command runs. Defaults to /.
	// +optional
	WorkingDirectory AbsolutePath `json:"workingDirectory,omitempty"`

	// document runs a document of Systems Manager. The process is looked at again
	// by an SSM command of its own before it, and by others after it.
	// +optional
	Document *DocumentStep `json:"document,omitempty"`

	// reboot restarts the node, when the process is still down on it. The step has
	// succeeded when the process is healthy after a new boot.
	// +optional
	Reboot *RebootStep `json:"reboot,omitempty"`

	// timeoutSeconds is how long the step may run, in seconds: a command is then
	// ended with everything in its session, a document is cancelled. Defaults to
	// 60.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	// +optional
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`

	// verifySeconds is how long the process may take to be healthy after the step
	// has ended, in seconds. Defaults to 30, for a reboot to 600.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	// +optional
	VerifySeconds *int32 `json:"verifySeconds,omitempty"`
}

// DocumentStep runs a document of type Command: the team's own, or one of AWS. The controller's role has to be allowed to
// send it (config/iam).
type DocumentStep struct {
	// name of the document, or its ARN when it is shared by another account.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_.:/-]+$')",message="must be the name or the ARN of a document: letters, digits and any of _.:/-"
	// +required
	Name string `json:"name"`

	// version of the document: a number, $DEFAULT or $LATEST. Defaults to the
	// document's default version.
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:XValidation:rule="self.matches('^([$]LATEST|[$]DEFAULT|[1-9][0-9]*)$')",message="must be the number of a version, $DEFAULT or $LATEST"
	// +optional
	Version string `json:"version,omitempty"`

	// parameters of the document, at most 16, with 16384 characters in all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.map(p, p.values.map(v, v.size()).sum()).sum() <= 16384",message="must have at most 16384 characters in all, because each Remediation holds a copy; put more into the document, or into a parameter of Parameter Store"
	// +listType=map
	// +listMapKey=name
	// +optional
	Parameters []DocumentParameter `json:"parameters,omitempty"`
}

// DocumentParameter is a parameter of a document.
type DocumentParameter struct {
	// name of the parameter.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Name string `json:"name"`

	// values of the parameter; one for a parameter that is a string. Systems
	// Manager resolves `{{ssm:name}}` in them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=2048
	// +listType=atomic
	// +required
	Values []string `json:"values"`
}

// RebootStep has no settings: write `reboot: {}`.
type RebootStep struct{}
