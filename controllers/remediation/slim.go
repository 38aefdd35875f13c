// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

// Slim takes out of a Remediation, as it is kept in memory, what nobody reads once it has its result: what was to be run, and what
// it printed. That is a third to three quarters of it, and a fleet that was down leaves ten thousands of them.
//
// It is not lost: whatever is written to a Remediation is a merge patch of what has changed in it, and after the result only the
// finalizer changes. An attempt without a result stays whole.
func Slim(remediation *v1alpha1.Remediation) {
	if decide.ResultOf(remediation) == v1alpha1.ResultRunning {
		return
	}
	spec, status := &remediation.Spec, &remediation.Status
	spec.Step, spec.Evidence = v1alpha1.RecoveryStep{}, nil
	status.Output, status.Evidence = "", nil
}
