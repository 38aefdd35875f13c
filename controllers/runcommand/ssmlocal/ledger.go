// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"context"
	"fmt"
	"time"
)

// Entry is one execution of a command on one instance, with all steps of its document.
type Entry struct {
	InstanceID string
	CommandID  string
	Comment    string
	// DocumentName is the document's own name, also when the command has an ARN.
	DocumentName string
	Kind         Kind
	// CloudWatchLogGroup, S3Bucket and S3KeyPrefix are where the command sends its output besides; empty for nowhere.
	CloudWatchLogGroup, S3Bucket, S3KeyPrefix string

	Start time.Time
	// End is zero while the execution runs, and for good when the agent never answered.
	End time.Time
	// ExitCode is what the agent reported, or would have: 137 when it killed the script, and of several steps that of the
	// first that did not succeed, else of the last. It is -1 when the node went down with it.
	ExitCode int
}

// Ledger lists every execution on every instance, in the order in which they started. It is empty when Options have an
// OnExecution.
func (s *Server) Ledger() []Entry {
	defer s.lock()()
	entries := make([]Entry, len(s.ledger))
	for i, e := range s.ledger {
		entries[i] = *e
	}
	return entries
}

// Replay runs a command again on an instance that it was sent to, as an agent does that finds it persisted as pending when
// it starts: whatever its age and whatever became of it, and without telling Systems Manager. An agent that is stopped does
// so when it starts.
func (s *Server) Replay(instanceID, commandID string) error {
	defer s.lock()()
	c := s.byID[commandID]
	if c == nil {
		return fmt.Errorf("replaying command %s on %s: the command is not known", commandID, instanceID)
	}
	i := c.find(instanceID)
	if i == nil {
		return fmt.Errorf("replaying command %s on %s: it was not sent there", commandID, instanceID)
	}
	s.enqueue(&job{invocation: i, instance: i.instance, command: c, kind: Replay, silent: true})
	return nil
}

// WaitIdle returns when no execution with real processes runs, or with the error of ctx.
func (s *Server) WaitIdle(ctx context.Context) error {
	unlock := s.lock()
	active, idle := s.active, s.idle
	unlock()
	if active == 0 {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for executions to end: %w", ctx.Err())
	}
}

// record opens the entry of an execution.
func (s *Server) record(j *job) *Entry {
	c := j.command
	e := &Entry{
		InstanceID:         j.instance.ID,
		CommandID:          c.id,
		Comment:            c.request.Comment,
		DocumentName:       c.program.document,
		Kind:               j.kind,
		CloudWatchLogGroup: c.cloudWatch().CloudWatchLogGroupName,
		S3Bucket:           valueOr(c.request.OutputS3BucketName, ""),
		S3KeyPrefix:        valueOr(c.request.OutputS3KeyPrefix, ""),
		Start:              s.now,
	}
	if s.onExecution != nil {
		s.onExecution(*e)
		return e
	}
	s.ledger = append(s.ledger, e)
	return e
}
