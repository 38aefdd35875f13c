// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/surroundings"
)

// look is one of the looks at the process after a document or a reboot.
type look struct {
	// begun is when it was sent.
	begun time.Time
	// over means that there is nothing more to wait for, status is what AWS said of it last.
	over   bool
	status runcommand.Status
	// verdict is what the node found; nil when it did not answer.
	verdict *process.Verdict
	// silence says why there is no verdict.
	silence string
}

func (l *look) healthy() bool {
	return l.verdict != nil && l.verdict.Health == v1alpha1.HealthHealthy
}

// found says what a look has found that did not find the process healthy, or has not found.
func (l *look) found() string {
	if l.verdict == nil {
		return l.silence
	}
	return l.verdict.Message
}

// verify looks whether the process is healthy after a document or a reboot, again and again. Nothing can veto that: what had
// to be thought over is done already, and what came of it has to be known.
//
// A look is a probe, which may be sent any number of times: one whose answer is lost is not searched for.
func (r *Reconciler) verify(ctx context.Context, s *scope) error {
	if next(s.remediation) != v1alpha1.CommandPurposeVerify {
		return nil
	}
	last := r.lastLook(s)
	now := s.now
	if s.outcome = verified(s.remediation, last, now); s.outcome != nil {
		s.recordLook(last)
		return nil
	}
	if last != nil && !last.over {
		return nil
	}
	if due := lookDue(s.remediation, last); now.Before(due) {
		s.next = due.Sub(now)
		return nil
	}
	return r.look(ctx, s)
}

// lastLook reads the last look, if there was one.
func (r *Reconciler) lastLook(s *scope) *look {
	command := commandOf(s.remediation, v1alpha1.CommandPurposeVerify)
	if command == nil {
		return nil
	}
	last := &look{begun: command.IntentTime.Time, status: runcommand.Status(command.Status)}
	if command.CommandID == "" {
		last.over, last.silence = true, "the last look could not be sent"
		return last
	}
	observation := r.read(s, command.Purpose)
	invocation, read := observation.Invocations[string(s.remediation.Spec.InstanceID)]
	switch {
	case read && invocation.Status.Final():
		last.over, last.status = true, invocation.Status
		verdict, err := process.ReadVerdict(invocation.Output, binding(s.remediation, command.Purpose))
		if err == nil {
			last.verdict = &verdict
		} else {
			last.silence = fmt.Sprintf("the node did not answer (%s)", invocation.StatusText)
		}
	case observation.Done:
		last.over, last.silence = true, "the node did not answer in time"+lastAnswer(observation.Err)
	}
	return last
}

// explain says in the condition what an attempt waits for, once.
func (r *Reconciler) explain(ctx context.Context, s *scope, message string) error {
	s.running(message)
	if equality.Semantic.DeepEqual(s.before.Status, s.remediation.Status) {
		return nil
	}
	return r.record(ctx, s)
}

// look records that it looks and sends a probe, which goes behind all recoveries. One that cannot be sent, or may not have been, is
// followed by another one like one without an answer. It is recorded first, so that a status that cannot be written brings no row of
// probes.
func (r *Reconciler) look(ctx context.Context, s *scope) error {
	around, err := surroundings.Read(ctx, r.Client, r.Namespace, s.remediation.Namespace)
	switch {
	case err != nil:
		return err
	case around.Stopped:
		// The kill switch puts off the look, and with it the result.
		return r.explain(ctx, s, "the process will be looked at when the kill switch is gone (ConfigMap "+v1alpha1.KillSwitch+")")
	case s.region.Budget.State().Waiting[runcommand.PriorityResults] >= maxLooks:
		s.next = throttledRetry
		return nil
	}
	// The time of the look runs from the intent, and must not be spent in a queue.
	ctx = runcommand.WithPriority(ctx, runcommand.PriorityResults)
	call, err := s.region.Budget.Reserve(ctx)
	if err != nil {
		return err
	}
	s.now = r.Clock.Now()
	s.running(doing(s.remediation.Spec.Step, v1alpha1.CommandPurposeVerify))
	purpose := v1alpha1.CommandPurposeVerify
	command := v1alpha1.CommandStatus{Purpose: purpose, IntentTime: metav1.NewMicroTime(s.now)}
	if last := commandOf(s.remediation, purpose); last != nil {
		s.region.Forget(last.CommandID)
		*last = command
	} else {
		s.remediation.Status.Commands = append(s.remediation.Status.Commands, command)
	}
	if err := r.record(ctx, s); err != nil {
		return err
	}
	sent, err := r.sendLook(call.In(ctx), s)
	if err != nil {
		log.FromContext(ctx).Info("The process cannot be looked at, which will be tried again", "instance", s.remediation.Spec.InstanceID,
			"error", runcommand.Words(err))
		return nil
	}
	return r.recordSent(ctx, s, purpose, sent, r.Clock.Now())
}

func (r *Reconciler) sendLook(ctx context.Context, s *scope) (runcommand.Command, error) {
	bound := binding(s.remediation, v1alpha1.CommandPurposeVerify)
	how := lookCheck(s.remediation)
	script, err := process.VerifyScript(how, string(s.remediation.UID), bound, releaseBy(s.remediation, s.now))
	if err != nil {
		return runcommand.Command{}, err
	}
	command := runcommand.ShellScript(script, process.ProbeTimeout(how))
	command.InstanceIDs = []string{string(s.remediation.Spec.InstanceID)}
	command.Comment = bound
	command.DeliveryTimeout = runcommand.MinDeliveryTimeout
	return s.region.Send(ctx, command)
}

// recordLook takes up the end of the last look. It is written with the result.
func (s *scope) recordLook(last *look) {
	command := commandOf(s.remediation, v1alpha1.CommandPurposeVerify)
	command.CompletionTime = new(metav1.NewMicroTime(s.now))
	command.Status = statusWord(last.status)
	if last.verdict != nil {
		command.BootID = last.verdict.BootID
	}
	if s.outcome.result == v1alpha1.ResultRecovered && s.remediation.Spec.Output.Keep != v1alpha1.KeepAlways {
		// The output of a document was kept as long as it might have been one of a failure.
		s.remediation.Status.Output = ""
	}
}
