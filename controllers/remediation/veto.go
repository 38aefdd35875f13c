// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/surroundings"
)

// lookAge is how long after the check before a document has looked the document may be sent: by then the process may have come back
// by itself.
const lookAge = 30 * time.Second

// veto says why the attempt must not be sent any more, by what the reader knows; empty when it may.
func (r *Reconciler) veto(ctx context.Context, reader client.Reader, s *scope) (string, error) {
	spec := &s.remediation.Spec
	if r.Clock.Now().After(spec.NotAfter.Time) {
		return fmt.Sprintf("it was not sent until %s (spec.notAfter)", spec.NotAfter.UTC().Format("15:04:05Z")), nil
	}
	if check := commandOf(s.remediation, v1alpha1.CommandPurposeCheck); check != nil && check.ProbeTime != nil &&
		r.Clock.Now().Sub(check.ProbeTime.Time) > lookAge {
		return "the look at the process before it was too long ago", nil
	}
	if !s.remediation.DeletionTimestamp.IsZero() {
		return "the Remediation was deleted", nil
	}
	if veto, err := r.vetoOfPolicy(ctx, reader, s.remediation.Namespace, spec.PolicyRef); veto != "" || err != nil {
		return veto, err
	}
	own, err := r.Regions.Locate(spec.Region)
	if err != nil {
		return "", fmt.Errorf("finding out the account: %w", err)
	}
	if own.Account != spec.Account {
		return fmt.Sprintf("the controller's credentials are for account %s now", own.Account), nil
	}
	return "", nil
}

// vetoOfPolicy says why the policy does not want the attempt any more, or what forbids it since.
func (r *Reconciler) vetoOfPolicy(
	ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.PolicyReference,
) (string, error) {
	policy := &v1alpha1.RemediationPolicy{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, policy)
	switch {
	case apierrors.IsNotFound(err):
		return "the policy was deleted", nil
	case err != nil:
		return "", fmt.Errorf("reading the policy: %w", err)
	case policy.UID != ref.UID, !policy.DeletionTimestamp.IsZero():
		return "the policy was deleted", nil
	case policy.Generation != ref.Generation && !policy.Spec.Suspend:
		return "the policy was changed", nil
	}
	around, err := surroundings.Read(ctx, reader, r.Namespace, namespace)
	if err != nil {
		return "", err
	}
	if forbidden := decide.Forbidden(r.Clock.Now(), policy, around); forbidden != nil {
		return forbidden.Message, nil
	}
	return "", nil
}
