// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// clockSkew is added to the horizon for clocks that differ.
const clockSkew = 2 * time.Minute

// horizon is the time after which the node does not act on the command any more: it refuses to begin after notAfter, and
// what it began has ended.
func horizon(remediation *v1alpha1.Remediation) time.Time {
	return remediation.Spec.NotAfter.Add(process.RecoveryTimeout(recovery(remediation)) + clockSkew)
}

// follow reads what has become of the command; one without an id is searched for first.
func (r *Reconciler) follow(ctx context.Context, s *scope) error {
	command := run(s.remediation)
	if command == nil {
		return nil // The intent was taken back.
	}
	if command.CommandID == "" {
		return r.search(ctx, s, command)
	}
	key := client.ObjectKeyFromObject(s.remediation)
	s.region.Track(runcommand.Want{
		Command:    runcommand.Command{ID: command.CommandID, RequestTime: ptr.Deref(command.SendTime, command.IntentTime).Time},
		InstanceID: string(s.remediation.Spec.InstanceID),
		Notify:     func() { r.Notify(key) },
	})
	observation, _ := s.region.Observe(command.CommandID)
	invocation, read := observation.Invocations[string(s.remediation.Spec.InstanceID)]
	switch {
	case read && invocation.Status.Final():
		s.outcome = conclusion(invocation, binding(s.remediation))
	case observation.ReadTime.After(horizon(s.remediation)):
		s.outcome = &outcome{result: v1alpha1.ResultLost, message: fmt.Sprintf(
			"AWS reported no end of the command (%s) in all the time in which it could have run", orNothing(observation.Command.Status))}
	default:
		return r.recordProgress(ctx, s, command, observation.Command.Status)
	}
	command.Status = invocation.StatusText
	command.CompletionTime = new(metav1.NewMicroTime(s.now))
	return nil
}

func orNothing(status runcommand.Status) string {
	if status == "" {
		return "no status at all"
	}
	return "status " + string(status)
}

// recordProgress shows that the node has taken the command.
func (r *Reconciler) recordProgress(
	ctx context.Context, s *scope, command *v1alpha1.CommandStatus, status runcommand.Status,
) error {
	if status == "" || string(status) == command.Status || status.Final() {
		return nil
	}
	command.Status = string(status)
	return r.record(ctx, s)
}

// search looks for a command that may have been accepted, and adopts it. Not finding it proves nothing before the horizon.
func (r *Reconciler) search(ctx context.Context, s *scope, command *v1alpha1.CommandStatus) error {
	key := client.ObjectKeyFromObject(s.remediation)
	result := s.region.Search(runcommand.Search{
		Comment:    binding(s.remediation),
		InstanceID: string(s.remediation.Spec.InstanceID),
		After:      command.IntentTime.Time,
		Before:     s.remediation.Spec.NotAfter.Time,
		Notify:     func() { r.Notify(key) },
	})
	switch {
	case result.Found.ID != "":
		s.region.EndSearch(binding(s.remediation))
		return r.recordSent(ctx, s, result.Found)
	case result.LookTime.After(horizon(s.remediation)):
		s.region.EndSearch(binding(s.remediation))
		s.outcome = &outcome{result: v1alpha1.ResultLost, message: "the answer to the send was lost, and the command was " +
			"not found in all the time in which it could have run"}
	}
	return nil
}
