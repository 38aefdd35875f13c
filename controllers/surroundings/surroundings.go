// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package surroundings reads what bears upon a policy beside the policy itself: the kill switch in the manager's namespace,
// and the annotations of the policy's Namespace. Both controllers ask for it, one to decide and one right before a send.
//
// Only metadata is read, and cached: a cluster has many Namespaces, and what a ConfigMap holds is nobody's business here.
package surroundings

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// Namespace is an empty Namespace, to be read or watched by its metadata.
func Namespace() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return o
}

// KillSwitch is an empty ConfigMap, to be read or watched by its metadata.
func KillSwitch() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return o
}

// Read reads the surroundings of the policies in a namespace; home is the namespace of the manager. When one of them cannot
// be read, nobody knows whether anything may be done.
func Read(ctx context.Context, reader client.Reader, home, namespace string) (decide.Surroundings, error) {
	var around decide.Surroundings
	err := reader.Get(ctx, types.NamespacedName{Namespace: home, Name: v1alpha1.KillSwitch}, KillSwitch())
	if client.IgnoreNotFound(err) != nil {
		return around, fmt.Errorf("looking for the kill switch: %w", err)
	}
	around.Stopped = err == nil
	own := Namespace()
	if err := reader.Get(ctx, types.NamespacedName{Name: namespace}, own); err != nil && !apierrors.IsNotFound(err) {
		return around, fmt.Errorf("reading the Namespace: %w", err)
	}
	around.Namespace = own.Annotations
	return around, nil
}
