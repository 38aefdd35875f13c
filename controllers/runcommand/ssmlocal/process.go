// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
)

// drainTime is how long output is still read after the process group was killed, in case something outside of the group
// holds the pipes.
const drainTime = 200 * time.Millisecond

// process is a script that runs.
type process struct {
	machine        *machine.Machine
	cmd            *exec.Cmd
	stdout, stderr *capture
	// group is the id of the process group, as seen on the machine.
	group string
	// ended is closed when the script has ended and nothing holds its output any more.
	ended chan struct{}
}

// startProcess starts a command, which launch is part of, with its own pipes for output.
func startProcess(m *machine.Machine, cmd *exec.Cmd) (*process, error) {
	p := &process{machine: m, cmd: cmd, ended: make(chan struct{})}
	var files []*os.File
	pipe := func() (*os.File, *os.File, error) {
		r, w, err := os.Pipe()
		files = append(files, w)
		return r, w, err
	}
	defer func() {
		for _, w := range files {
			_ = w.Close()
		}
	}()
	outR, outW, err := pipe()
	if err != nil {
		return nil, fmt.Errorf("making the pipe of stdout: %w", err)
	}
	errR, errW, err := pipe()
	if err != nil {
		_ = outR.Close()
		return nil, fmt.Errorf("making the pipe of stderr: %w", err)
	}
	groupR, groupW, err := pipe()
	if err != nil {
		_, _ = outR.Close(), errR.Close()
		return nil, fmt.Errorf("making the pipe of the group: %w", err)
	}
	p.stdout, p.stderr = newCapture(outR, stdoutLimit), newCapture(errR, stderrLimit)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = outW, errW, []*os.File{groupW}
	if err := cmd.Start(); err != nil {
		_, _, _ = outR.Close(), errR.Close(), groupR.Close()
		return nil, fmt.Errorf("starting the script: %w", err)
	}
	go p.wait()
	_ = groupW.Close()
	line, _ := bufio.NewReader(groupR).ReadString('\n')
	_ = groupR.Close()
	p.group = strings.TrimSpace(line)
	return p, nil
}

// wait reads the output until nobody can write any more, as the agent does: a daemon that keeps it open keeps the command
// running.
func (p *process) wait() {
	var readers sync.WaitGroup
	readers.Go(p.stdout.read)
	readers.Go(p.stderr.read)
	_ = p.cmd.Wait()
	readers.Wait()
	close(p.ended)
}

// await returns how the script ended: by itself, or killed when its time was up or the command was cancelled.
func (p *process) await(ctx context.Context, timer clock.Timer) ending {
	var e ending
	select {
	case <-p.ended:
		e = p.status()
	case <-timer.C():
		e = ending{timedOut: true}
		if !p.kill() {
			// The script itself is gone, and what holds its output has left the group.
			e = ending{problem: "no such process", problemCode: 1}
		}
	case <-ctx.Done():
		_ = p.kill()
		e = ending{cancelled: true}
	}
	e.stdout, e.stderr = p.stdout.text(), p.stderr.text()
	return e
}

// awaitGone waits until nothing is left of a process group: what was killed closes its files a moment before it is gone. It
// gives up after a second or so, because the kernel holds on to what waits for a disk.
const awaitGone = `n=0; while kill -s 0 -- "-$1" 2>/dev/null && [ "$n" -lt 100 ]; do sleep 0.01; n=$((n + 1)); done`

// kill kills the process group, and says whether there was anything in it. It returns when the output is read and the group
// is gone.
func (p *process) kill() bool {
	err := p.machine.Command("sh", "-c", `kill -s KILL -- "-$1"`, "sh", p.group).Run()
	// A script that stopped itself has stopped nsenter too.
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	p.stdout.expire()
	p.stderr.expire()
	<-p.ended
	if err != nil {
		return false
	}
	_ = p.machine.Command("sh", "-c", awaitGone, "sh", p.group).Run()
	return true
}

// status is how the script ended by itself.
func (p *process) status() ending {
	state := p.cmd.ProcessState
	if state.Exited() {
		return ending{code: state.ExitCode()}
	}
	// For example "signal: killed".
	return ending{problem: state.String(), problemCode: noAnswer}
}

// capture keeps the beginning of a stream and reads the rest away.
type capture struct {
	file  *os.File
	limit int
	kept  strings.Builder
}

func newCapture(file *os.File, limit int) *capture {
	return &capture{file: file, limit: limit + 1}
}

func (c *capture) read() {
	defer func() { _ = c.file.Close() }()
	// What has been read counts, however reading ends.
	_, _ = io.Copy(&c.kept, io.LimitReader(c.file, int64(c.limit)))
	_, _ = io.Copy(io.Discard, c.file)
}

// expire ends reading soon. Pipes have real time only.
func (c *capture) expire() {
	_ = c.file.SetReadDeadline(time.Now().Add(drainTime))
}

// text is what was kept, after read has returned.
func (c *capture) text() string {
	return c.kept.String()
}
