// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// naiveResult is what the naive loop costs.
type naiveResult struct {
	rounds int
	// calls, invocations and cpu are of all rounds.
	calls       map[string]int
	invocations int64
	cpu         time.Duration
	peak        int64
}

// compare stops the manager, and lets the naive loop probe the same nodes so many times.
func compare(rounds int) phase {
	return func(ctx context.Context, r *run) error {
		if err := r.stopManager(); err != nil {
			return err
		}
		res := &naiveResult{rounds: rounds}
		from, invocations := r.clock.Now(), r.server.Invocations()
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
		loop := exec.CommandContext(ctx, self, naiveCommand, "-endpoint="+r.recorder.url,
			"-instances="+strconv.Itoa(len(r.nodes)), "-rounds="+strconv.Itoa(rounds))
		loop.Env = r.clock.Environment()
		loop.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		loop.Stderr = os.Stderr
		output, err := loop.Output()
		if err != nil {
			return fmt.Errorf("running the naive loop: %w", err)
		}
		res.calls, res.invocations = byOperation(r.recorder.between(from, r.clock.Now())), r.server.Invocations()-invocations
		res.cpu = loop.ProcessState.UserTime() + loop.ProcessState.SystemTime()
		res.peak, err = strconv.ParseInt(strings.TrimSpace(string(output)), 10, 64)
		r.result.naive = res
		return err
	}
}
