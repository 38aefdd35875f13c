// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// controlPlane is etcd and kube-apiserver, which testenv has started as children of this process.
type controlPlane struct {
	// daemons are in the order in which they are to be started.
	daemons []*daemon
}

type daemon struct {
	arguments []string
	pid       int
	// command is set once it was started again, from here.
	command *exec.Cmd
}

// findControlPlane finds the processes in /proc.
func findControlPlane() (*controlPlane, error) {
	c := &controlPlane{}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		found, err := child(name)
		if err != nil {
			return nil, err
		}
		c.daemons = append(c.daemons, found)
	}
	return c, nil
}

// child is the child of this process that runs a program of that name.
func child(name string) (*daemon, error) {
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", name, err)
	}
	for _, path := range children {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // A thread that has ended.
		}
		for field := range strings.FieldsSeq(string(text)) {
			line, err := os.ReadFile("/proc/" + field + "/cmdline")
			arguments := strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")
			if err == nil && filepath.Base(arguments[0]) == name {
				pid, err := strconv.Atoi(field)
				return &daemon{arguments: arguments, pid: pid}, err
			}
		}
	}
	return nil, fmt.Errorf("finding %s: it is not running", name)
}

// signal sends a signal to both.
func (c *controlPlane) signal(signal syscall.Signal) error {
	var errs []error
	for _, d := range c.daemons {
		errs = append(errs, syscall.Kill(d.pid, signal))
	}
	return errors.Join(errs...)
}

// crash ends both by SIGKILL. Their data stay.
func (c *controlPlane) crash() error {
	err := c.signal(syscall.SIGKILL)
	for _, d := range c.daemons {
		if d.command != nil {
			_ = d.command.Wait()
		}
	}
	return err
}

// restart starts both again on their data.
func (c *controlPlane) restart() error {
	for _, d := range c.daemons {
		d.command = exec.Command(d.arguments[0], d.arguments[1:]...)
		d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := d.command.Start(); err != nil {
			return fmt.Errorf("starting %s again: %w", d.arguments[0], err)
		}
		d.pid = d.command.Process.Pid
	}
	return nil
}

// stop ends what was started from here; testenv knows nothing of it.
func (c *controlPlane) stop() error {
	var errs []error
	for _, d := range c.daemons {
		if d.command != nil {
			errs = append(errs, d.command.Process.Kill())
			_ = d.command.Wait()
		}
	}
	return errors.Join(errs...)
}

// awaitReady waits until the API server answers.
func (h *harness) awaitReady(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := h.cluster.Kubectl(ctx, "", "get", "--raw", "/readyz"); err == nil {
			return
		}
		wait(ctx, lookInterval)
	}
}
