// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/surroundings"
)

// cacheOptions says what the manager keeps in memory of the cluster: what its shard needs.
//
// With namespaces given, everything is asked for by namespace, so that roles in these namespaces will do. Only the right to list
// Namespaces, of which the annotations are read, is cluster-wide or not at all.
func cacheOptions(o options) (cache.Options, error) {
	options := cache.Options{
		DefaultTransform: slim,
		// Of all ConfigMaps only the kill switch is looked at.
		ByObject: map[client.Object]cache.ByObject{
			surroundings.KillSwitch(): {Namespaces: map[string]cache.Config{o.namespace: {
				FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, v1alpha1.KillSwitch),
			}}},
		},
	}
	if len(o.shard.Namespaces) == 0 {
		return options, nil
	}
	named, err := labels.NewRequirement(corev1.LabelMetadataName, selection.In, o.shard.Namespaces)
	if err != nil {
		return options, fmt.Errorf("choosing the namespaces: %w", err)
	}
	options.ByObject[surroundings.Namespace()] = cache.ByObject{Label: labels.NewSelector().Add(*named)}
	options.DefaultNamespaces = map[string]cache.Config{}
	for _, namespace := range o.shard.Namespaces {
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options, nil
}

// slim takes out of an object that is to be kept in memory what nobody here reads.
func slim(object any) (any, error) {
	o, err := meta.Accessor(object)
	if err != nil {
		// The last known state of an object that is gone has been here before.
		return object, nil //nolint:nilerr // There is nothing wrong with it.
	}
	if o.GetManagedFields() != nil {
		o.SetManagedFields(nil)
	}
	// For kubectl apply, a copy of all that it is next to.
	delete(o.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	if r, ok := object.(*v1alpha1.Remediation); ok {
		remediation.Slim(r)
	}
	return object, nil
}
