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
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// binding ties the command, as its comment, and the node's report to the attempt.
func binding(remediation *v1alpha1.Remediation) string {
	return fmt.Sprintf("%s/%s", remediation.UID, v1alpha1.CommandPurposeRun)
}

// recovery is what the node is asked to do.
func recovery(remediation *v1alpha1.Remediation) process.Recovery {
	spec := &remediation.Spec
	return process.Recovery{
		Check: process.Check{
			Process:      spec.Process,
			Timeout:      time.Duration(spec.CheckTimeoutSeconds) * time.Second,
			StartupGrace: time.Duration(spec.StartupGraceSeconds) * time.Second,
			Namespace:    remediation.Namespace,
			Policy:       spec.PolicyRef.Name,
		},
		UID:     string(remediation.UID),
		Binding: binding(remediation),
		Step:    spec.Step,
		Timeout: time.Duration(ptr.Deref(spec.Step.TimeoutSeconds, 0)) * time.Second,
		Verify:  time.Duration(ptr.Deref(spec.Step.VerifySeconds, 0)) * time.Second,
		// In the node's clock.
		NotAfter: spec.NotAfter.Add(time.Duration(spec.Detection.ClockOffsetSeconds) * time.Second),
	}
}

// dispatch sends the command, if this pass has recorded the intent to, after a last look at the policy.
func (r *Reconciler) dispatch(ctx context.Context, s *scope) error {
	if !s.intended {
		return nil
	}
	veto, err := r.veto(ctx, r.Live, s)
	if err != nil {
		// This pass has not sent, and knows it: the intent can be taken back.
		return errors.Join(err, r.takeBack(ctx, s))
	}
	if veto != "" {
		s.withdraw(veto)
		return nil
	}
	wanted := recovery(s.remediation)
	script, err := process.RecoveryScript(wanted)
	if err != nil {
		s.withdraw(err.Error())
		return nil
	}
	command := runcommand.ShellScript(script, process.RecoveryTimeout(wanted))
	command.InstanceIDs = []string{string(s.remediation.Spec.InstanceID)}
	command.Comment = binding(s.remediation)
	command.DeliveryTimeout = s.remediation.Spec.NotAfter.Sub(s.now)
	log.FromContext(ctx).Info("Sending the recovery command", "instance", s.remediation.Spec.InstanceID,
		"step", s.remediation.Spec.StepIndex)
	sent, err := r.send(ctx, s, command)
	if err != nil || !s.intended || s.outcome != nil {
		return err
	}
	return r.recordSent(ctx, s, sent)
}

// send sends, and sorts out what an error says about the command.
func (r *Reconciler) send(ctx context.Context, s *scope, command runcommand.Send) (runcommand.Command, error) {
	sent, err := s.region.Send(ctx, command)
	switch {
	case err == nil:
		return sent, nil
	case runcommand.MayBeAccepted(err):
		// It may have been accepted. The intent stays, and the passes that follow look for it.
		return sent, err
	case runcommand.Classify(err) == runcommand.Throttled:
		log.FromContext(ctx).Info("AWS throttles the send, which will be tried again", "answer", runcommand.Words(err))
		s.next = throttledRetry
		return sent, r.takeBack(ctx, s)
	default:
		s.outcome = &outcome{
			result: v1alpha1.ResultNotDelivered, message: "AWS did not accept the command: " + runcommand.Words(err),
		}
		return sent, nil
	}
}

// takeBack removes the intent of a command that is known not to exist, so that a later pass may send it.
func (r *Reconciler) takeBack(ctx context.Context, s *scope) error {
	s.remediation.Status.Commands = slices.DeleteFunc(s.remediation.Status.Commands,
		func(c v1alpha1.CommandStatus) bool { return c.Purpose == v1alpha1.CommandPurposeRun })
	s.intended = false
	return r.record(ctx, s)
}

// recordSent records the id that AWS gave the command.
func (r *Reconciler) recordSent(ctx context.Context, s *scope, sent runcommand.Command) error {
	command := run(s.remediation)
	command.CommandID = sent.ID
	command.SendTime = new(metav1.NewMicroTime(r.Clock.Now()))
	command.Status = string(sent.Status)
	return r.record(ctx, s)
}
