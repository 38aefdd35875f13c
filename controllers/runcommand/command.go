// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"iter"
	"strconv"
	"time"
)

// Limits of Systems Manager, from its API reference.
const (
	// MaxInstanceIDs is how many instance ids one SendCommand takes.
	MaxInstanceIDs = 50
	// MinDeliveryTimeout is the least TimeoutSeconds of SendCommand.
	MinDeliveryTimeout = 30 * time.Second
	// minExecutionTimeout is the least executionTimeout that the agent honours: it takes anything less for an hour.
	minExecutionTimeout = 5 * time.Second
)

// DocumentRunShellScript is AWS's own document that runs a shell script on Linux nodes.
const DocumentRunShellScript = "AWS-RunShellScript"

// Location is where instances live. Everything that is kept about instances or commands is kept by location.
type Location struct {
	Account string
	Region  string
}

// Send is a command to send.
type Send struct {
	// InstanceIDs are the nodes, 1 to 50. Either these or Tags are set.
	InstanceIDs []string
	// Tags select the nodes, any number of them: those that have every one, at most 5.
	Tags []Tag
	// Document is the name of the SSM document, or its ARN.
	Document string
	// DocumentVersion is a number, $DEFAULT or $LATEST; empty is the document's default version.
	DocumentVersion string
	// Parameters of the document.
	Parameters map[string][]string
	// Comment goes with the command, at most 100 characters. It is what a lost command is found by.
	Comment string
	// DeliveryTimeout is how long the command waits for a node to take it; 30 seconds at least.
	DeliveryTimeout time.Duration
	// CloudWatchLogGroup, S3Bucket and S3KeyPrefix are where the nodes write the whole output to besides; empty for nowhere.
	CloudWatchLogGroup, S3Bucket, S3KeyPrefix string
}

// ShellScript is a Send of the given POSIX shell script, which is ended when it runs longer than executionTimeout.
func ShellScript(script string, executionTimeout time.Duration) Send {
	seconds := int(max(executionTimeout, minExecutionTimeout).Round(time.Second) / time.Second)
	return Send{
		Document: DocumentRunShellScript,
		Parameters: map[string][]string{
			"commands":         {script},
			"executionTimeout": {strconv.Itoa(seconds)},
		},
	}
}

// Command is what a list of commands tells of one: its counts over all nodes.
type Command struct {
	ID      string
	Comment string
	// Status is the detailed status, in the spelling of the constants of this package.
	Status Status
	// RequestTime is when AWS accepted the command, by AWS's clock.
	RequestTime time.Time
	// Targets is how many nodes the command addresses, Completed how many of them ended in any way.
	Targets, Completed int
	// Errors counts Failed and ExecutionTimedOut, DeliveryTimedOut those; other bad ends are in neither.
	Errors, DeliveryTimedOut int
}

// Done reports whether nothing more will happen.
func (c Command) Done() bool {
	return c.Status.Final() || (c.Targets > 0 && c.Completed >= c.Targets)
}

// Succeeded reports whether, by its counts, the command has succeeded on all its nodes. Counts do not show nodes that the command
// could not be delivered to (Undeliverable): these have to be asked for.
func (c Command) Succeeded() bool {
	return c.Status == StatusSuccess && c.Targets > 0 && c.Completed == c.Targets && c.Errors == 0 && c.DeliveryTimedOut == 0
}

// Invocation is one command on one node.
type Invocation struct {
	CommandID  string
	InstanceID string
	Status     Status
	// StatusText is the detailed status as AWS spelled it.
	StatusText string
	// ResponseCode is the script's exit code. It means nothing without Status: -1 stands for no answer. In lists, of a
	// document with several steps it is that of the first that did not succeed, else of the last.
	ResponseCode int
	// Output is what the script printed. In lists, stdout and stderr merged and cut at 2,500 characters, of each step one
	// after the other; in a Result, stdout alone. Neither is longer than 24,000 characters.
	Output string
}

// Node is a managed node as the inventory shows it.
type Node struct {
	InstanceID string
	// Online is whether its agent has been heard of lately.
	Online bool
	// PingStatus is AWS's word for that, for example ConnectionLost.
	PingStatus string
	// Platform is Linux, Windows or MacOS.
	Platform string
}

// Tag is a tag key with the values of which one has to match.
type Tag struct {
	Key    string
	Values []string
}

// CommandFilter selects commands of a list. Zero fields do not filter.
type CommandFilter struct {
	ID         string
	InstanceID string
	// After and Before bound the time of the request, by AWS's clock.
	After, Before time.Time
	// Executing selects those that have not ended on all their nodes.
	Executing bool
}

// InvocationFilter selects invocations of a list. Zero fields do not filter: without a CommandID it is about all commands of the
// account and region.
type InvocationFilter struct {
	CommandID string
	// After bounds the time of the request, by AWS's clock.
	After time.Time
	// Status is the detailed status.
	Status Status
}

// NodeFilter selects nodes of the inventory, by ids or by tags.
type NodeFilter struct {
	InstanceIDs []string
	// Tags are ANDed.
	Tags []Tag
}

// Service is Run Command in one account and region.
//
// All methods return errors that Classify understands.
type Service interface {
	// Send sends a command. It is never retried in here: SendCommand has no idempotency token, so a second try could be a
	// second execution. MayBeAccepted tells what an error proves.
	Send(ctx context.Context, s Send) (Command, error)
	// Commands lists commands, the newest first, page by page as far as they are taken; an error ends the list. A command that was
	// just sent may be missing.
	Commands(ctx context.Context, f CommandFilter) iter.Seq2[Command, error]
	// Invocations lists what became of commands on their nodes, page by page as far as they are taken; an error ends the list. Nodes
	// may be missing for a while after the send.
	Invocations(ctx context.Context, f InvocationFilter) iter.Seq2[Invocation, error]
	// Result reads one invocation with its whole stdout. It is of class NotYet right after the send. Of a document with several
	// steps AWS does not tell a code or an output here: read that with Invocations.
	Result(ctx context.Context, commandID, instanceID string) (Invocation, error)
	// Cancel asks for a command to be ended on these nodes, or on all of its nodes when none is named. It is best effort: a script
	// that runs is killed, one that waits at the agent may still run when the agent restarts, and one that has ended stays as it is,
	// which is no error. Only the status tells what became of it. It is of class NotYet right after the send.
	Cancel(ctx context.Context, commandID string, instanceIDs ...string) error
	// Nodes lists managed nodes. Stopped and terminated ones are not in it.
	Nodes(ctx context.Context, f NodeFilter) ([]Node, error)
}
