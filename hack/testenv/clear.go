// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Clear deletes the policies and Remediations of a namespace, so that those that come later are not held up by them.
func (c *Cluster) Clear(ctx context.Context, namespace string) error {
	list := &v1alpha1.RemediationList{}
	if err := c.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing Remediations: %w", err)
	}
	for i := range list.Items {
		if err := c.RemoveRemediation(ctx, &list.Items[i]); err != nil {
			return err
		}
	}
	err := c.Client.DeleteAllOf(ctx, &v1alpha1.RemediationPolicy{}, client.InNamespace(namespace))
	if err != nil {
		return fmt.Errorf("deleting policies: %w", err)
	}
	return nil
}

// RemoveRemediation deletes a Remediation for good, finalizer or not.
func (c *Cluster) RemoveRemediation(ctx context.Context, remediation *v1alpha1.Remediation) error {
	free := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	if err := c.Client.Patch(ctx, remediation, free); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	if err := c.Client.Delete(ctx, remediation); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the Remediation: %w", err)
	}
	return nil
}
