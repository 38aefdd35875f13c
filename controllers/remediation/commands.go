// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"fmt"
	"time"

	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// clockSkew is added to the horizon for clocks that differ.
const clockSkew = 2 * time.Minute

// sequence is what the commands of a step are for, in the order in which they are sent.
func sequence(step v1alpha1.RecoveryStep) []v1alpha1.CommandPurpose {
	switch {
	case step.Document != nil:
		return []v1alpha1.CommandPurpose{
			v1alpha1.CommandPurposeCheck, v1alpha1.CommandPurposeRun, v1alpha1.CommandPurposeVerify,
		}
	case step.Reboot != nil:
		return []v1alpha1.CommandPurpose{v1alpha1.CommandPurposeRun, v1alpha1.CommandPurposeVerify}
	default:
		return []v1alpha1.CommandPurpose{v1alpha1.CommandPurposeRun}
	}
}

// next is what the command is for that is in flight, or the next to be sent: the first whose end is not recorded. An end is
// recorded without a result only when it lets the next command go.
func next(remediation *v1alpha1.Remediation) v1alpha1.CommandPurpose {
	purposes := sequence(remediation.Spec.Step)
	for _, purpose := range purposes {
		if command := commandOf(remediation, purpose); command == nil || command.CompletionTime == nil {
			return purpose
		}
	}
	return purposes[len(purposes)-1]
}

// commandOf returns the command of a purpose, or nil when there is no intent to send it. Writing the status moves it.
func commandOf(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose) *v1alpha1.CommandStatus {
	for i := range remediation.Status.Commands {
		if remediation.Status.Commands[i].Purpose == purpose {
			return &remediation.Status.Commands[i]
		}
	}
	return nil
}

// binding ties a command, as its comment, and the node's report to the attempt.
func binding(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose) string {
	return fmt.Sprintf("%s/%s", remediation.UID, purpose)
}

// check is how the process is looked at.
func check(remediation *v1alpha1.Remediation) process.Check {
	spec := &remediation.Spec
	return process.Check{
		Process:      spec.Process,
		Timeout:      time.Duration(spec.CheckTimeoutSeconds) * time.Second,
		StartupGrace: time.Duration(spec.StartupGraceSeconds) * time.Second,
		Namespace:    remediation.Namespace,
		Policy:       spec.PolicyRef.Name,
	}
}

// recovery is what the node is asked to do by the first command of the attempt.
func recovery(remediation *v1alpha1.Remediation) process.Recovery {
	spec := &remediation.Spec
	return process.Recovery{
		Check:    check(remediation),
		UID:      string(remediation.UID),
		Binding:  binding(remediation, sequence(spec.Step)[0]),
		Step:     spec.Step,
		Evidence: spec.Evidence,
		Keep:     spec.Output.Keep,
		Timeout:  stepTimeout(spec),
		Verify:   verifyTime(spec),
		Hold:     hold(spec),
		// In the node's clock.
		NotAfter: spec.NotAfter.Add(clockOffset(spec)),
	}
}

// clockOffset is how far the node's clock was ahead when the process was found down.
func clockOffset(spec *v1alpha1.RemediationSpec) time.Duration {
	return time.Duration(spec.Detection.ClockOffsetSeconds) * time.Second
}

func stepTimeout(spec *v1alpha1.RemediationSpec) time.Duration {
	return time.Duration(ptr.Deref(spec.Step.TimeoutSeconds, 0)) * time.Second
}

func verifyTime(spec *v1alpha1.RemediationSpec) time.Duration {
	return time.Duration(ptr.Deref(spec.Step.VerifySeconds, 0)) * time.Second
}

// hold is how long the node is kept for the commands that follow the first one: until a document that was sent at the last
// moment has ended, or was given up; until a reboot that does not come was given up.
func hold(spec *v1alpha1.RemediationSpec) time.Duration {
	switch {
	case spec.Step.Document != nil:
		return spec.NotAfter.Sub(spec.OpenTime.Time) + documentTime(spec) + cancelTime
	case spec.Step.Reboot != nil:
		return verifyTime(spec) + goingDown
	default:
		return 0
	}
}

// horizon is the time after which the node does not act on a command any more. Scripts refuse to begin after notAfter, and
// what they began has ended; a document has no such fence, but AWS does not deliver it any more.
func horizon(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose) time.Time {
	end := remediation.Spec.NotAfter.Add(clockSkew)
	if purpose == v1alpha1.CommandPurposeRun && remediation.Spec.Step.Document != nil {
		return end.Add(documentTime(&remediation.Spec))
	}
	return end.Add(process.RecoveryTimeout(recovery(remediation)))
}

// documentTime is the longest from the send of a document to the end of its time.
func documentTime(spec *v1alpha1.RemediationSpec) time.Duration {
	return runcommand.MinDeliveryTimeout + stepTimeout(spec)
}
