// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// describeMachine says on what is measured, and what.
func describeMachine(ctx context.Context, root string) string {
	return fmt.Sprintf("%d CPUs (%s), %s, %s, commit %s", runtime.NumCPU(), firstField("/proc/cpuinfo", "model name"),
		firstField("/proc/meminfo", "MemTotal"), runtime.Version(), commit(ctx, root))
}

// firstField is the value of a name in one of the kernel's lists of names and values.
func firstField(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// commit is what is checked out.
func commit(ctx context.Context, root string) string {
	git := func(args ...string) []byte {
		output, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return []byte("unknown")
		}
		return bytes.TrimSpace(output)
	}
	text := string(git("rev-parse", "--short", "HEAD"))
	if len(git("status", "--porcelain", "--untracked-files=no")) > 0 {
		text += " with changes"
	}
	return text
}
