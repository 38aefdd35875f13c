// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RemediationPolicyStatus is what the controller observed and decided.
type RemediationPolicyStatus struct {
	// observedGeneration is the metadata.generation that the rest of the status
	// speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Healthy, RemediationAllowed, Reconciling and Stalled.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime > timestamp('1000-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('9999-01-01T00:00:00Z'))",message="lastTransitionTime must be a time in UTC between the years 1000 and 9999, for example 2026-03-29T12:00:00Z"
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// account is the AWS account whose instances are meant.
	// +kubebuilder:validation:MaxLength=12
	// +optional
	Account string `json:"account,omitempty"`

	// region is the AWS region whose instances are meant.
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Region string `json:"region,omitempty"`

	// targets is how many instances the policy matches, without the excluded ones.
	// +optional
	Targets *int32 `json:"targets,omitempty"`

	// healthy is how many of them run the process.
	// +optional
	Healthy *int32 `json:"healthy,omitempty"`

	// unhealthy is how many of them do not.
	// +optional
	Unhealthy *int32 `json:"unhealthy,omitempty"`

	// held is how many of them said hands off.
	// +optional
	Held *int32 `json:"held,omitempty"`

	// unknown is how many of them could not be looked at.
	// +optional
	Unknown *int32 `json:"unknown,omitempty"`

	// lastProbeTime is when the last whole round of probes was judged. While
	// nothing changes it is written at most once in five minutes; Ready turns
	// False when rounds are late.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	LastProbeTime *metav1.MicroTime `json:"lastProbeTime,omitempty"`

	// lastRemediationTime is when the last attempt ended.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	LastRemediationTime *metav1.MicroTime `json:"lastRemediationTime,omitempty"`

	// summary counts all instances that are not Healthy by their reason, the most
	// frequent first.
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=reason
	// +optional
	Summary []ReasonCount `json:"summary,omitempty"`

	// blocked counts all instances that are not Healthy by what keeps them from
	// being recovered right now, the most frequent first.
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=reason
	// +optional
	Blocked []ReasonCount `json:"blocked,omitempty"`

	// instances lists instances that are not Healthy, at most 100: the Unhealthy
	// ones first. Summary counts them all.
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=instanceID
	// +optional
	Instances []InstanceStatus `json:"instances,omitempty"`

	// breaker is there while limits.maxUnhealthy forbids recovery.
	// +optional
	Breaker *BreakerStatus `json:"breaker,omitempty"`

	// ineffective is there while limits.stopAfterIneffective forbids recovery.
	// +optional
	Ineffective *IneffectiveStatus `json:"ineffective,omitempty"`

	// resetTime is the time before which attempts no longer count, by the
	// annotation ssm-remediator.io/reset-at.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	ResetTime *metav1.MicroTime `json:"resetTime,omitempty"`

	// requests acknowledge the annotations by which something was asked for.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=annotation
	// +optional
	Requests []RequestStatus `json:"requests,omitempty"`

	// opening lists Remediations that are about to be created. It is written under
	// an optimistic lock before any of them is, so that the limits hold over
	// several replicas and restarts.
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=name
	// +optional
	Opening []OpeningRemediation `json:"opening,omitempty"`

	// opened are the uids of the last Remediations, at most 100, that were in
	// opening and were seen to be there, and the names of those that were not
	// seen. A cache that holds them all lacks no older one.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	// +optional
	Opened []string `json:"opened,omitempty"`
}

// BreakerStatus is an open breaker (limits.maxUnhealthy).
type BreakerStatus struct {
	// openTime is when more instances were down than may be.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	OpenTime metav1.MicroTime `json:"openTime"`

	// unhealthy is how many were down when it opened, and limit how many may be.
	// +required
	Unhealthy int32 `json:"unhealthy"`

	// limit is how many instances may be down at once.
	// +required
	Limit int32 `json:"limit"`

	// belowTime is since when no more than limit are down; absent while more are.
	// Two rounds of probes later the breaker lets go.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	BelowTime *metav1.MicroTime `json:"belowTime,omitempty"`
}

// IneffectiveStatus says that the recovery of a spec does not help.
type IneffectiveStatus struct {
	// generation of the policy whose recovery it is.
	// +required
	Generation int64 `json:"generation"`

	// time is when limits.stopAfterIneffective was reached.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	Time metav1.MicroTime `json:"time"`

	// attempts is how many in a row had not recovered their instance then.
	// +required
	Attempts int32 `json:"attempts"`
}

// ReasonCount counts instances.
type ReasonCount struct {
	// reason is what they have in common.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`

	// count is how many.
	// +required
	Count int32 `json:"count"`
}

// InstanceStatus is one instance that is not Healthy.
type InstanceStatus struct {
	// instanceID names the instance.
	// +required
	InstanceID InstanceID `json:"instanceID"`

	// health is Unhealthy, Held or Unknown.
	// +required
	Health Health `json:"health"`

	// since is when the controller first saw this health.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	Since metav1.MicroTime `json:"since"`

	// reason is a CamelCase word for why.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`

	// message says it in words, often the node's or AWS's own.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`

	// blocked says why the instance is not being recovered right now. It is absent
	// only while nothing keeps it from being so.
	// +optional
	Blocked *Blocked `json:"blocked,omitempty"`
}

// Blocked says why an instance is not being recovered right now.
type Blocked struct {
	// reason is one of the reasons of the condition RemediationAllowed, or of a
	// wait of this instance alone.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`

	// message says it in words.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`

	// until is when it is looked at again at the latest; absent when that depends
	// on something else than the clock.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	Until *metav1.MicroTime `json:"until,omitempty"`
}

// OpeningRemediation is a Remediation that is about to be created.
type OpeningRemediation struct {
	// name of the Remediation.
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// instanceID of the Remediation.
	// +required
	InstanceID InstanceID `json:"instanceID"`

	// sequence of the Remediation.
	// +required
	Sequence int64 `json:"sequence"`

	// notAfter of the Remediation. When it has passed, the entry is void.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	NotAfter metav1.MicroTime `json:"notAfter"`
}
