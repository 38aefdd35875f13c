// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Daemon is a process in the background that logs into a file.
type Daemon struct {
	// LogFile is the path of what it prints.
	LogFile string

	command *exec.Cmd
	ended   chan struct{}
}

// stopPatience is how long a Daemon may take to end before it is killed.
const stopPatience = 10 * time.Second

// StartDaemon starts a binary with nothing in its environment but PATH, a HOME in the directory, which also gets its log, and
// what is given. Its process group is its own, so that Ctrl-C reaches only this program, which stops everything in order.
func StartDaemon(directory, binary string, env []string, args ...string) (*Daemon, error) {
	name := filepath.Base(binary)
	d := &Daemon{LogFile: filepath.Join(directory, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(d.LogFile)
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

// PID is the id of the process.
func (d *Daemon) PID() int { return d.command.Process.Pid }

// Ended is closed when the process has ended.
func (d *Daemon) Ended() <-chan struct{} { return d.ended }

// Stop ends the process: it asks, and kills it after 10 s.
func (d *Daemon) Stop() error {
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
