// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
)

// agentRoot is where the agent keeps its state on a node.
const agentRoot = "/var/lib/amazon/ssm"

// directoryRetention is how long the agent keeps the directory of a command (RunCommandLogsRetentionDurationHours, 336).
const directoryRetention = 336 * time.Hour

// launch starts the script in a process group of its own, as its leader, and first says which group that is. What it uses
// for that is closed before the script starts.
const launch = `echo "$$" >&3 && cd "$1" && shift && exec "$@" 3>&-`

// Local runs commands as real processes on a machine, in the way of the agent on Linux: the script goes into a file in the
// agent's directory, and `sh -c <file>` runs in a process group of its own, without input, until its output ends.
//
// A Local belongs to one instance.
type Local struct {
	// Machine is where they run.
	Machine *machine.Machine
	// Shell is the command line to which `-c <file>` is added. Defaults to sh; `busybox sh` and bash are others.
	Shell []string

	mu sync.Mutex
	// directories of commands, in the order in which they were made.
	directories []directory
}

// directory is what a command left on the node.
type directory struct {
	path string
	made time.Time
}

func (l *Local) start(s *Server, j *job, e Execution) {
	ctx, cancel := context.WithCancel(s.ctx)
	gone := make(chan struct{})
	j.cancel, j.gone = cancel, gone
	if s.active == 0 {
		s.idle = make(chan struct{})
	}
	s.active++
	s.spawn(func() {
		defer cancel()
		end := l.run(ctx, s.clock, s.region, e)
		close(gone)
		defer s.lock()()
		s.complete(j, end)
		if s.active--; s.active == 0 {
			close(s.idle)
		}
	})
}

// run runs one script to its end.
func (l *Local) run(ctx context.Context, c clock.WithTicker, region string, e Execution) ending {
	file, err := l.writeScript(e, c.Now())
	if err != nil {
		return ending{problem: err.Error(), problemCode: 1}
	}
	dir := "/"
	if path.IsAbs(e.WorkingDirectory) {
		dir = e.WorkingDirectory
		if info, err := os.Stat(l.Machine.Path(dir)); err != nil || !info.IsDir() {
			return ending{problem: "fork/exec /usr/bin/sh: no such file or directory", problemCode: 1}
		}
	}
	shell := l.Shell
	if len(shell) == 0 {
		shell = []string{"sh"}
	}
	argv := slices.Concat([]string{"sh", "-c", launch, "sh", dir}, shell, []string{"-c", file})
	cmd := l.Machine.Command("setsid", argv...)
	cmd.Env = append(cmd.Env,
		"SSM_COMMAND_ID="+e.CommandID, "AWS_SSM_INSTANCE_ID="+e.InstanceID, "AWS_SSM_REGION_NAME="+region)

	timer := c.NewTimer(e.Timeout)
	defer timer.Stop()
	p, err := startProcess(l.Machine, cmd)
	if err != nil {
		return ending{problem: err.Error(), problemCode: 1}
	}
	return p.await(ctx, timer)
}

// writeScript puts the script where the agent has it, and sweeps away the directories of old commands. The directory is as
// old as the server's clock says.
func (l *Local) writeScript(e Execution, now time.Time) (string, error) {
	command := filepath.Join(agentRoot, e.InstanceID, "document/orchestration", e.CommandID)
	dir := filepath.Join(command, directoryOf(e.Step))
	file := filepath.Join(dir, "_script.sh")
	if err := os.MkdirAll(l.Machine.Path(dir), 0o700); err != nil {
		return "", fmt.Errorf("making the directory of the command: %w", err)
	}
	// The agent, too, makes it executable: a `#!` line counts.
	if err := os.WriteFile(l.Machine.Path(file), []byte(e.Script), 0o700); err != nil {
		return "", fmt.Errorf("writing the script of the command: %w", err)
	}
	if err := os.Chtimes(l.Machine.Path(command), now, now); err != nil {
		return "", fmt.Errorf("dating the directory of the command: %w", err)
	}
	return file, l.sweep(directory{path: command, made: now})
}

// directoryOf is where the agent has the script of a step, below the directory of its command.
func directoryOf(step string) string {
	if step == awsRunShellScriptStep {
		return "awsrunShellScript/0.awsrunShellScript" // as of documents of the old schema
	}
	return strings.ReplaceAll(step, ":", "")
}

// sweep remembers a new directory and removes those that are too old, as the agent does now and then.
func (l *Local) sweep(made directory) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.directories = append(l.directories, made)
	for made.made.Sub(l.directories[0].made) > directoryRetention {
		if err := os.RemoveAll(l.Machine.Path(l.directories[0].path)); err != nil {
			return fmt.Errorf("removing the directory of an old command: %w", err)
		}
		l.directories = l.directories[1:]
	}
	return nil
}
