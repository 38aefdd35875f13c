// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import "time"

// Kind says why the agent ran a document.
type Kind string

const (
	// Run is the first execution of a command on an instance.
	Run Kind = "Run"
	// Rerun is an execution after a reboot that the script asked for by exit status 194.
	Rerun Kind = "Rerun"
	// Replay is an execution of a command that the agent had persisted as pending, after its restart: whatever its age, and
	// whether or not it was cancelled meanwhile.
	Replay Kind = "Replay"
	// Resume is an execution of a command that the agent had persisted as running, after its restart: its step begins anew.
	Resume Kind = "Resume"
)

// Execution is the run of one step of a command's document on an instance. AWS-RunShellScript has one step.
type Execution struct {
	CommandID  string
	InstanceID string
	Comment    string
	// DocumentName is the document's own name, also when the command has an ARN.
	DocumentName string
	// Parameters are those of the document, with its defaults. They are not to be changed.
	Parameters map[string][]string
	// Step is the name of the step, and StepIndex its number from 0.
	Step      string
	StepIndex int
	// Script is the step's script, with the parameters put in.
	Script           string
	WorkingDirectory string
	// Timeout is how long the step may run until the agent kills it.
	Timeout time.Duration
	// Start is the time on the server's clock, and NodeTime the same moment on the instance's.
	Start, NodeTime time.Time
	Kind            Kind
}

// Runner runs the commands of an instance: a *Local with real processes, or a Scripted function.
type Runner interface {
	// start begins an execution, with the lock held, and has Server.complete called when it has ended.
	start(s *Server, j *job, e Execution)
}
