// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// dispatch sends the command that this pass has recorded the intent to send, if any, after a last look at the policy.
func (r *Reconciler) dispatch(ctx context.Context, s *scope) error {
	if s.intended == "" {
		return nil
	}
	// A manager that is being stopped ends what it has begun, while it still holds the lease: a send that is broken off may have
	// been accepted, and when it was not, only the horizon proves that. One that has lost its lease ends at once (cmd/manager).
	ctx = context.WithoutCancel(ctx)
	// The deadline is set before the last look: a process that was stopped after it finds its time up when it wakes, and does
	// not send. A document has no other fence.
	sending, cancel := context.WithTimeout(ctx, lookAndSend)
	defer cancel()
	veto, err := r.veto(sending, r.Live, s)
	if err != nil {
		// This pass has not sent, and knows it: the intent can be taken back.
		return errors.Join(err, r.takeBack(ctx, s))
	}
	if veto != "" {
		s.withdraw(veto)
		return nil
	}
	command, err := request(s.remediation, s.intended, s.now)
	if err != nil {
		s.withdraw(err.Error())
		return nil
	}
	if r.Clock.Now().After(s.remediation.Spec.NotAfter.Time) {
		s.withdraw("its time was up (spec.notAfter) when the policy had been read")
		return nil
	}
	log.FromContext(ctx).Info("Sending a command of the recovery", "instance", s.remediation.Spec.InstanceID,
		"step", s.remediation.Spec.StepIndex, "purpose", s.intended)
	sent, err := s.region.Send(s.call.In(sending), command)
	if err != nil {
		return r.unsent(ctx, s, err)
	}
	return r.recordSent(ctx, s, s.intended, sent, r.Clock.Now())
}

// lookAndSend bounds the last look at the policy together with the send.
const lookAndSend = 20 * time.Second

// request is the command that is sent now for Check or Run. The error says why there can be none.
func request(
	remediation *v1alpha1.Remediation, purpose v1alpha1.CommandPurpose, now time.Time,
) (runcommand.Send, error) {
	spec := &remediation.Spec
	var command runcommand.Send
	if purpose == v1alpha1.CommandPurposeRun && spec.Step.Document != nil {
		command = documentRequest(spec.Step.Document)
	} else {
		wanted := recovery(remediation)
		script, err := process.RecoveryScript(wanted)
		if err != nil {
			return runcommand.Send{}, err
		}
		command = runcommand.ShellScript(script, process.RecoveryTimeout(wanted))
		command.DeliveryTimeout = spec.NotAfter.Sub(now)
	}
	command.InstanceIDs = []string{string(spec.InstanceID)}
	command.Comment = binding(remediation, purpose)
	command.CloudWatchLogGroup = spec.Output.CloudWatchLogGroup
	command.S3Bucket, command.S3KeyPrefix = spec.Output.S3Bucket, spec.Output.S3KeyPrefix
	return command, nil
}

// unsent sorts out what the error of a send says about the command.
func (r *Reconciler) unsent(ctx context.Context, s *scope, err error) error {
	switch {
	case runcommand.MayBeAccepted(err):
		// It may have been accepted. The intent stays, and the passes that follow look for it.
		return err
	case runcommand.Classify(err) == runcommand.Throttled:
		log.FromContext(ctx).Info("AWS throttles the send, which will be tried again", "answer", runcommand.Words(err))
		s.next = throttledRetry
		return r.takeBack(ctx, s)
	default:
		s.outcome = &outcome{v1alpha1.ResultNotDelivered,
			fmt.Sprintf("AWS did not accept the command: %s%s", runcommand.Words(err), remedy(s.remediation, s.intended, err))}
		return nil
	}
}

// takeBack removes the intent of a command that is known not to exist, so that a later pass may send it.
func (r *Reconciler) takeBack(ctx context.Context, s *scope) error {
	s.remediation.Status.Commands = slices.DeleteFunc(s.remediation.Status.Commands,
		func(c v1alpha1.CommandStatus) bool { return c.Purpose == s.intended })
	s.intended = ""
	return r.record(ctx, s)
}

// recordSent records the id that AWS gave the command, which it accepted at a time, and begins to read it.
func (r *Reconciler) recordSent(
	ctx context.Context, s *scope, purpose v1alpha1.CommandPurpose, sent runcommand.Command, at time.Time,
) error {
	command := commandOf(s.remediation, purpose)
	command.CommandID = sent.ID
	command.SendTime = new(metav1.NewMicroTime(at))
	command.Status = statusWord(sent.Status)
	if err := r.record(ctx, s); err != nil {
		return err
	}
	r.track(s, purpose, sent)
	return nil
}

// statusWord bounds a status as it is recorded.
func statusWord(status runcommand.Status) string {
	const most = 64
	return process.Printable(string(status), most, "")
}
