// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Annotations by which people ask for something without changing the spec, so that tools that keep the spec as it is in Git
// do not take it back. Their values are times in RFC 3339. status.requests acknowledges each.
const (
	// AnnotationRequestedAt on a policy asks for a probe of all its instances now.
	AnnotationRequestedAt = "ssm-remediator.io/requested-at"
	// AnnotationSilencedUntil on a policy, or on a Namespace for all policies in it, is a pause of recovery that ends by
	// itself at that time. Probing goes on.
	AnnotationSilencedUntil = "ssm-remediator.io/silenced-until"
	// AnnotationSilenceReason says in any words why it is silenced.
	AnnotationSilenceReason = "ssm-remediator.io/silence-reason"
	// AnnotationResetAt on a policy says that attempts before that time no longer count.
	AnnotationResetAt = "ssm-remediator.io/reset-at"
)

// KillSwitch is the name of the ConfigMap that stops everything: while it exists in the namespace of the manager nothing new
// is sent for any policy.
const KillSwitch = "ssm-remediator-stop"

// RequestStatus acknowledges an annotation.
type RequestStatus struct {
	// annotation is its key; with the prefix namespace/ it is that of the
	// Namespace.
	// +kubebuilder:validation:MaxLength=128
	// +required
	Annotation string `json:"annotation"`

	// value is the value that was seen.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Value string `json:"value"`

	// state is Accepted, or Refused with the reason in message.
	// +required
	State RequestState `json:"state"`

	// message says what was done, or why nothing was.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`

	// time is when the value was first seen.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[1-9][0-9-]{9}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	Time metav1.MicroTime `json:"time"`
}

// RequestState says what became of a request.
//
// +kubebuilder:validation:Enum=Accepted;Refused
type RequestState string

const (
	// RequestAccepted means that it was, or is being, done.
	RequestAccepted RequestState = "Accepted"
	// RequestRefused means that it was not done.
	RequestRefused RequestState = "Refused"
)
