// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// observeOnly ends the attempt of a policy that only observes: no command is ever sent.
func (r *Reconciler) observeOnly(_ context.Context, s *scope) error {
	spec := &s.remediation.Spec
	if spec.Mode != v1alpha1.ModeObserve {
		return nil
	}
	s.remediation.Status.StartTime = new(metav1.NewMicroTime(s.now))
	s.outcome = &outcome{v1alpha1.ResultObserved,
		fmt.Sprintf("step %d would have been run: %s", spec.StepIndex+1, describe(spec.Step))}
	return nil
}

// describe says in words what a step is.
func describe(step v1alpha1.RecoveryStep) string {
	const most = 200
	switch {
	case step.Document != nil:
		return "document " + step.Document.Name
	case step.Reboot != nil:
		return "reboot"
	}
	command := process.Printable(string(step.Command), most, "")
	if len(command) == most {
		command += "..."
	}
	return command
}
