// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, in which the kernel tells CPU times. It is the same on every architecture that Go runs on.
const ticksPerSecond = 100

// cpuTime is what a process has used so far.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	return parseCPUTime(string(text))
}

// parseCPUTime adds user and system time. The name of the program stands in brackets, and may hold anything.
func parseCPUTime(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("reading the CPU time: %.60q has too few fields", stat)
	}
	u, errUser := strconv.ParseInt(fields[user], 10, 64)
	s, errSystem := strconv.ParseInt(fields[system], 10, 64)
	if err := errors.Join(errUser, errSystem); err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	return time.Duration(u+s) * time.Second / ticksPerSecond, nil
}

// memory is what a process has in memory, in bytes: now, and at most so far.
type memory struct {
	resident, peak int64
}

func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, fmt.Errorf("reading the memory: %w", err)
	}
	return parseMemory(text)
}

func parseMemory(status []byte) (m memory, err error) {
	for field, value := range map[string]*int64{"VmRSS:": &m.resident, "VmHWM:": &m.peak} {
		_, rest, found := bytes.Cut(status, []byte("\n"+field))
		words := bytes.Fields(rest)
		if !found || len(words) == 0 {
			return m, fmt.Errorf("reading the memory: no %s", field)
		}
		if *value, err = strconv.ParseInt(string(words[0]), 10, 64); err != nil {
			return m, fmt.Errorf("reading the memory: %w", err)
		}
		*value *= 1024
	}
	return m, nil
}

// machineTime is how long the processors of the machine were at work, and in all.
type machineTime struct {
	busy, all int64
}

func machineTimes() (machineTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, fmt.Errorf("reading the time of the machine: %w", err)
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads the first line, of all processors together.
func parseMachineTime(stat string) (m machineTime, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	// user, nice, system, idle, iowait, irq, softirq, steal; what follows is contained in user.
	const first, idle, iowait, last = 1, 4, 5, 8
	if len(fields) <= last || fields[0] != "cpu" {
		return m, fmt.Errorf("reading the time of the machine: %.60q", line)
	}
	for i := first; i <= last; i++ {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return m, fmt.Errorf("reading the time of the machine: %w", err)
		}
		m.all += ticks
		if i != idle && i != iowait {
			m.busy += ticks
		}
	}
	return m, nil
}

// share is how much of the time since then the machine was at work.
func (m machineTime) share(since machineTime) float64 {
	if m.all == since.all {
		return 0
	}
	return float64(m.busy-since.busy) / float64(m.all-since.all)
}
