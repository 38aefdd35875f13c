// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
)

// real is a machine that runs scripts as the agent does.
type real struct {
	*WithT
	*machine.Machine
	// front is the first directory of its PATH, for programs that stand in for others.
	front string
}

func newReal(t *testing.T) *real {
	t.Helper()
	r := &real{WithT: NewWithT(t), front: t.TempDir()}
	r.Expect(os.Geteuid()).To(BeZero(), "these tests make namespaces: run them as root")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := machine.Start(ctx, machine.Options{Path: r.front + ":" + machine.DefaultPath})
	r.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = m.Stop() })
	r.Machine = m
	// A reboot that is ordered does not come.
	r.standIn("systemctl", `[ "$1" = reboot ] || tr ' ' '\n' </run/unit`)
	return r
}

// standIn puts a program in front of the real one.
func (r *real) standIn(name, body string) {
	r.Expect(os.WriteFile(filepath.Join(r.front, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755)).To(Succeed())
}

// sh prepares the machine.
func (r *real) sh(command string) {
	out, err := r.Command("sh", "-c", command).CombinedOutput()
	r.Expect(err).NotTo(HaveOccurred(), "%s: %s", command, out)
}

var commands atomic.Int64

// run runs a script, and returns what it printed and its exit code, 137 when a signal has ended it.
func (r *real) run(script string) (stdout string, exit int) {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", commands.Add(1))
	file := "/var/lib/amazon/ssm/" + ID(0) + "/document/orchestration/" + id + "/awsrunShellScript/0.awsrunShellScript/_script.sh"
	r.Expect(os.MkdirAll(filepath.Dir(r.Path(file)), 0o700)).To(Succeed())
	r.Expect(os.WriteFile(r.Path(file), []byte(script), 0o700)).To(Succeed())
	cmd := r.Command("sh", "-c", file)
	cmd.Env = append(cmd.Env, "SSM_COMMAND_ID="+id)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), failed.ExitCode()
	}
	r.Expect(err).NotTo(HaveOccurred())
	return out.String(), 0
}

// model is a simulated node with a clock.
type model struct {
	*Node
	t   testing.TB
	now time.Time
	// commands numbers the executions.
	commands int
}

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// newModel is a node that has booted an hour ago, with its process down.
func newModel(t testing.TB) *model {
	m := &model{Node: New(ID(0), noon.Add(-time.Hour), &Ledger{}), t: t, now: noon}
	m.Stop(noon)
	return m
}

// execute runs a script, and lets the time pass that it takes.
func (m *model) execute(script, comment string) ssmlocal.Outcome {
	m.commands++
	o := m.run(ssmlocal.Execution{
		CommandID: fmt.Sprint(m.commands), InstanceID: m.id, Comment: comment, Script: script, Timeout: time.Hour,
		Start: m.now, Kind: ssmlocal.Run,
	})
	m.now = m.now.Add(o.Delay)
	return o
}
