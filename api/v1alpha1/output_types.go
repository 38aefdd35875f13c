// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// OutputSpec says what becomes of what the commands of a recovery print. Probes never write anywhere.
//
// +kubebuilder:validation:XValidation:rule="!has(self.s3KeyPrefix) || has(self.s3Bucket)",message="s3KeyPrefix goes with s3Bucket; remove it or set s3Bucket"
type OutputSpec struct {
	// keep says whether the output of a step is kept in the status of the
	// Remediation: Always, OnFailure or Never. What is not kept of a command is
	// not printed by it either, so that AWS does not keep it; what a document
	// prints AWS keeps in any case. Defaults to OnFailure.
	// +kubebuilder:default=OnFailure
	// +optional
	Keep KeepOutput `json:"keep,omitempty"`

	// cloudWatchLogGroup is a log group to which the node sends what the command
	// printed. The role of the node has to allow it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._/#-]+$')",message="must be the name of a log group: letters, digits and any of _-/.#"
	// +optional
	CloudWatchLogGroup string `json:"cloudWatchLogGroup,omitempty"`

	// s3Bucket is a bucket to which the node uploads what the command printed. The
	// role of the node has to allow it.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')",message="must be the name of an S3 bucket: lower-case letters, digits, dots and hyphens"
	// +optional
	S3Bucket string `json:"s3Bucket,omitempty"`

	// s3KeyPrefix is the folder in s3Bucket.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	// +optional
	S3KeyPrefix string `json:"s3KeyPrefix,omitempty"`
}

// KeepOutput says when the output of a step is kept.
//
// +kubebuilder:validation:Enum=Always;OnFailure;Never
type KeepOutput string

const (
	// KeepAlways keeps it.
	KeepAlways KeepOutput = "Always"
	// KeepOnFailure keeps it unless the attempt has recovered the instance.
	KeepOnFailure KeepOutput = "OnFailure"
	// KeepNever drops it on the node.
	KeepNever KeepOutput = "Never"
)
