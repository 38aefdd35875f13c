// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API of ssm-remediator.io: a RemediationPolicy is what a platform team writes, a Remediation
// is the record of one attempt on one instance that the controller keeps.
//
// Health has four values and only one of them is acted on; results have a closed list. Both are constants here, because
// they are what users read, alert on and match.
//
// Times have six digits behind the point and are in UTC: a typed client reads no others, and one object that it cannot read
// hides all others from the controller. So the schema admits no others, whoever writes them.
//
// +kubebuilder:object:generate=true
// +groupName=ssm-remediator.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of the kinds of this package.
var GroupVersion = schema.GroupVersion{Group: "ssm-remediator.io", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&RemediationPolicy{}, &RemediationPolicyList{},
		&Remediation{}, &RemediationList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
