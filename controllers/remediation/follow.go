// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// lastRead is how long after the horizon AWS may take to tell what has become of a command, before it is given up.
const lastRead = 10 * time.Minute

// follow reads what has become of the command in flight; one without an id is searched for first.
func (r *Reconciler) follow(ctx context.Context, s *scope) error {
	purpose := next(s.remediation)
	command := commandOf(s.remediation, purpose)
	if command == nil || purpose == v1alpha1.CommandPurposeVerify {
		return nil
	}
	if command.CommandID == "" {
		return r.search(ctx, s, purpose)
	}
	s.region.EndSearch(binding(s.remediation, purpose))
	observation := r.read(s, purpose)
	invocation, read := observation.Invocations[string(s.remediation.Spec.InstanceID)]
	switch {
	case read && invocation.Status.Final():
		return r.recordEnd(ctx, s, purpose, endOf(s.remediation, purpose, invocation))
	case observation.Done:
		return r.recordEnd(ctx, s, purpose, unended(s.remediation, purpose, observation))
	}
	return r.attend(ctx, s, purpose, observation)
}

// read has the command of a purpose read in the background, and returns what is known of it.
func (r *Reconciler) read(s *scope, purpose v1alpha1.CommandPurpose) runcommand.Observation {
	command := commandOf(s.remediation, purpose)
	r.track(s, purpose, runcommand.Command{ID: command.CommandID})
	observation, _ := s.region.Observe(command.CommandID)
	return observation
}

// track begins to read the command of a purpose in the background, unless that was begun already.
func (r *Reconciler) track(s *scope, purpose v1alpha1.CommandPurpose, sent runcommand.Command) {
	key, command := client.ObjectKeyFromObject(s.remediation), commandOf(s.remediation, purpose)
	want := runcommand.Want{
		Command:    sent,
		InstanceID: string(s.remediation.Spec.InstanceID),
		Deadline:   deadline(s.remediation, command),
		Notify:     func() { r.Notify(key) },
	}
	if purpose == v1alpha1.CommandPurposeRun && s.remediation.Spec.Step.Document != nil {
		// Of a document with several steps AWS tells their codes and outputs only in the list.
		want.InstanceID = ""
	}
	s.region.Track(want)
}

// deadline is when a command whose id is known is given up.
func deadline(remediation *v1alpha1.Remediation, command *v1alpha1.CommandStatus) time.Time {
	switch {
	case command.Purpose == v1alpha1.CommandPurposeVerify:
		return command.IntentTime.Add(lookTime(remediation))
	case command.Purpose == v1alpha1.CommandPurposeCheck:
		// No document is sent any more, and nothing was touched: nobody has to wait for AWS.
		return horizon(remediation, command.Purpose)
	case remediation.Spec.Step.Document != nil:
		return endTime(&remediation.Spec, command).Add(cancelTime + lastRead)
	default:
		return horizon(remediation, command.Purpose).Add(lastRead)
	}
}

// attend does what there is to do about a command that has not ended: it shows that the node has taken it, and ends a document
// whose time is up.
func (r *Reconciler) attend(ctx context.Context, s *scope, purpose v1alpha1.CommandPurpose, o runcommand.Observation) error {
	command, status := commandOf(s.remediation, purpose), statusWord(o.Command.Status)
	since, overdue := late(&s.remediation.Spec, command, o, s.now)
	switch {
	case overdue && since >= cancelTime:
		return r.recordEnd(ctx, s, purpose, unended(s.remediation, purpose, o))
	case overdue:
		return r.cancel(ctx, s)
	case status == "" || status == command.Status || o.Command.Status.Final():
		return nil
	}
	command.Status = status
	return r.record(ctx, s)
}

// search looks for a command that may have been accepted, and adopts it. Not finding it proves nothing before the horizon.
func (r *Reconciler) search(ctx context.Context, s *scope, purpose v1alpha1.CommandPurpose) error {
	key := client.ObjectKeyFromObject(s.remediation)
	proof, end := searchEnd(s.remediation, purpose)
	result := s.region.Search(runcommand.Search{
		Comment:    binding(s.remediation, purpose),
		InstanceID: string(s.remediation.Spec.InstanceID),
		After:      commandOf(s.remediation, purpose).IntentTime.Time,
		Before:     s.remediation.Spec.NotAfter.Time,
		Until:      end.Add(lastRead),
		Notify:     func() { r.Notify(key) },
	})
	switch {
	case result.Found.ID != "":
		return r.recordSent(ctx, s, purpose, result.Found, result.Found.RequestTime)
	case result.LookTime.After(proof), s.now.After(end):
		s.outcome = unfound(purpose, result.Err)
	}
	return nil
}

// searchEnd is when a look that does not find the command proves something, and when it is given up without such a look. After
// notAfter no document follows a check: what has become of the check does not matter any more.
func searchEnd(remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose) (proof, end time.Time) {
	if purpose == v1alpha1.CommandPurposeCheck {
		return remediation.Spec.NotAfter.Time, remediation.Spec.NotAfter.Time
	}
	proof = horizon(remediation, purpose)
	return proof, proof.Add(lastRead)
}
