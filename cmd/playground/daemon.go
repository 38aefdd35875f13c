// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// daemon is a process in the background that logs into a file.
type daemon struct {
	command *exec.Cmd
	logFile string
	ended   chan struct{}
}

// stopPatience is how long a daemon may take to end before it is killed.
const stopPatience = 10 * time.Second

// startDaemon starts a binary with a clean environment beside the given one. Its process group is its own, so that Ctrl-C
// reaches only this program, which stops everything in order.
func startDaemon(directory, binary string, env []string, args ...string) (*daemon, error) {
	name := filepath.Base(binary)
	d := &daemon{logFile: filepath.Join(directory, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(d.logFile)
	if err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()
	d.command = exec.Command(binary, args...)
	d.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + directory}, env...)
	d.command.Stdout, d.command.Stderr = log, log
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = d.command.Wait()
		close(d.ended)
	}()
	return d, nil
}

// stop ends the process.
func (d *daemon) stop() error {
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", d.command.Path, err)
	}
	select {
	case <-d.ended:
	case <-time.After(stopPatience):
		_ = d.command.Process.Kill()
		<-d.ended
	}
	return nil
}
