// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// clockSkew is added to the horizon for clocks that differ.
	clockSkew = 2 * time.Minute
	// lastRead is how long after the horizon AWS may take to tell what has become of a command, before it is given up.
	lastRead = 10 * time.Minute
)

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
	s.region.EndSearch(binding(s.remediation))
	key := client.ObjectKeyFromObject(s.remediation)
	s.region.Track(runcommand.Want{
		Command:    runcommand.Command{ID: command.CommandID, RequestTime: command.IntentTime.Time},
		InstanceID: string(s.remediation.Spec.InstanceID),
		Deadline:   horizon(s.remediation).Add(lastRead),
		Notify:     func() { r.Notify(key) },
	})
	observation, _ := s.region.Observe(command.CommandID)
	invocation, read := observation.Invocations[string(s.remediation.Spec.InstanceID)]
	switch {
	case read && invocation.Status.Final():
		s.outcome = conclusion(invocation, binding(s.remediation))
		command.Status = invocation.StatusText
		command.CompletionTime = new(metav1.NewMicroTime(s.now))
		return nil
	case observation.Done:
		s.outcome = lost("AWS reported no end of the command in all the time in which it could have run", observation.Err)
		return nil
	}
	return r.recordProgress(ctx, s, command, observation.Command.Status)
}

// lost is the outcome of a command of which nobody can know whether it ran.
func lost(why string, err error) *outcome {
	if err != nil {
		why += "; the last answer was: " + runcommand.Words(err)
	}
	return &outcome{result: v1alpha1.ResultLost, message: why}
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
	end := horizon(s.remediation)
	result := s.region.Search(runcommand.Search{
		Comment:    binding(s.remediation),
		InstanceID: string(s.remediation.Spec.InstanceID),
		After:      command.IntentTime.Time,
		Before:     s.remediation.Spec.NotAfter.Time,
		Until:      end.Add(2 * lastRead),
		Notify:     func() { r.Notify(key) },
	})
	switch {
	case result.Found.ID != "":
		return r.recordSent(ctx, s, result.Found)
	case result.LookTime.After(end), s.now.After(end.Add(lastRead)):
		s.outcome = lost("the answer to the send was lost, and the command was not found in all the time in which it could have run",
			result.Err)
	}
	return nil
}
