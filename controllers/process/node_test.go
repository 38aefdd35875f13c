// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
)

// within bounds waits for real processes, generously, because machines under test share two cores.
const within = 30 * time.Second

const (
	testBinding = "probe/0a1b2c"
	testUID     = "6f1b2c3d-0000-4000-8000-000000000001"
)

// commandCount numbers commands, as SSM gives each an id of its own.
var commandCount atomic.Int64

// node is a machine that runs scripts as the agent does, under one of the shells.
type node struct {
	*machine.Machine
	t *testing.T
	*WithT
	shell string
	// front is the first directory of PATH, for programs that stand in for others.
	front string
	path  string
}

// underEachShell runs a test on a machine of its own under each shell. Under busybox PATH has nothing but its applets.
func underEachShell(t *testing.T, test func(n *node)) {
	t.Helper()
	for _, shell := range shells() {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			test(startNode(t, shell))
		})
	}
}

// shells are those of dash, busybox and bash that this host has; in CI all of them, so that a missing one fails there.
func shells() []string {
	all := []string{"dash", "busybox", "bash"}
	if os.Getenv("CI") != "" {
		return all
	}
	return slices.DeleteFunc(all, func(shell string) bool {
		_, err := exec.LookPath(shell)
		return err != nil
	})
}

// tools are the programs that the scripts need beside a shell.
var tools = strings.Fields("cat date dd df find grep head ln mkdir mkfifo mv readlink rm rmdir setsid sleep stat tr")

// bare makes a directory for a PATH with nothing but sh and the tools, one of them perhaps left out.
func (n *node) bare(without string) string {
	n.t.Helper()
	directory := n.t.TempDir()
	for _, tool := range append([]string{"sh"}, tools...) {
		if tool != without {
			program, err := exec.LookPath(tool)
			n.Expect(err).NotTo(HaveOccurred())
			n.Expect(os.Symlink(program, filepath.Join(directory, tool))).To(Succeed())
		}
	}
	return directory
}

func startNode(t *testing.T, shell string) *node {
	t.Helper()
	g := NewWithT(t)
	g.Expect(os.Geteuid()).To(BeZero(), "these tests make namespaces: run them as root")
	shells := t.TempDir()
	front := t.TempDir()
	path := front + ":" + shells
	program, err := exec.LookPath(shell)
	g.Expect(err).NotTo(HaveOccurred(), "install the packages dash, bash and busybox")
	if shell == "busybox" {
		g.Expect(exec.Command(program, "--install", "-s", shells).Run()).To(Succeed())
	} else {
		g.Expect(os.Symlink(program, filepath.Join(shells, "sh"))).To(Succeed())
		path += ":" + machine.DefaultPath
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	m, err := machine.Start(ctx, machine.Options{Path: path})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = m.Stop() })
	return &node{Machine: m, t: t, WithT: g, shell: shell, front: front, path: path}
}

// answer is what came of a command.
type answer struct {
	stdout, stderr string
	exit           int
	took           time.Duration
	// directory is where the agent keeps the command, inside.
	directory string
}

// command prepares a script as the agent does: a file under the directory of the command, run by `sh -c <file>`.
func (n *node) command(script string, prefix ...string) (*exec.Cmd, string) {
	n.t.Helper()
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", commandCount.Add(1))
	directory := "/var/lib/amazon/ssm/i-0a1b2c3d4e5f67890/document/orchestration/" + id
	file := directory + "/awsrunShellScript/0.awsrunShellScript/_script.sh"
	n.write(file, script)
	n.Expect(os.Chmod(n.Path(file), 0o700)).To(Succeed())
	argv := append(prefix, "sh", "-c", file)
	cmd := n.Command(argv[0], argv[1:]...)
	cmd.Env = append(cmd.Env, "SSM_COMMAND_ID="+id)
	return cmd, directory
}

// run runs a script and, like the agent, waits until its output is closed.
func (n *node) run(script string, prefix ...string) answer {
	n.t.Helper()
	cmd, directory := n.command(script, prefix...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err := cmd.Run()
	a := answer{took: time.Since(begun), directory: directory}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		a.exit = exit.ExitCode()
	} else {
		n.Expect(err).NotTo(HaveOccurred())
	}
	a.stdout, a.stderr = stdout.String(), stderr.String()
	return a
}

// probe runs a probe and reads its verdict, which has to be its only line, with the exit code that goes with it.
func (n *node) probe(c Check, prefix ...string) Verdict {
	n.t.Helper()
	script, err := ProbeScript(c, testBinding)
	n.Expect(err).NotTo(HaveOccurred())
	return n.verdict(script, prefix...)
}

// verdict runs a script that looks, and reads what it says.
func (n *node) verdict(script string, prefix ...string) Verdict {
	n.t.Helper()
	a := n.run(script, prefix...)
	v, err := ReadVerdict(a.stdout, testBinding)
	n.Expect(err).NotTo(HaveOccurred(), "stdout %q, stderr %q", a.stdout, a.stderr)
	n.Expect(strings.Count(a.stdout, "\n")).To(Equal(1), a.stdout)
	n.Expect(a.exit).To(Equal(exitCode(v.Health == v1alpha1.HealthHealthy && !v.Busy)))
	n.Expect(a.stderr).To(BeEmpty())
	return v
}

// recover runs a recovery and reads its report.
func (n *node) recover(r Recovery, prefix ...string) (Report, answer) {
	n.t.Helper()
	script, err := RecoveryScript(r)
	n.Expect(err).NotTo(HaveOccurred())
	a := n.run(script, prefix...)
	report, err := ReadReport(a.stdout, r.Binding)
	n.Expect(err).NotTo(HaveOccurred(), "stdout %q, stderr %q", a.stdout, a.stderr)
	good := []v1alpha1.Result{v1alpha1.ResultRecovered, v1alpha1.ResultNotNeeded, ResultRebooting, ResultCleared}
	n.Expect(a.exit).To(Equal(exitCode(slices.Contains(good, report.Result))), a.stdout)
	return report, a
}

// exitCode is the one that the scripts have: nothing but 0 and 1 is safe to give to the agent.
func exitCode(good bool) int {
	if good {
		return 0
	}
	return 1
}

// sh runs a command line inside with a plain environment and returns what it prints.
func (n *node) sh(command string) string {
	n.t.Helper()
	out, err := n.Command("sh", "-c", command).CombinedOutput()
	n.Expect(err).NotTo(HaveOccurred(), "%s: %s", command, out)
	return strings.TrimSpace(string(out))
}

func (n *node) write(path, content string) {
	n.t.Helper()
	n.Expect(os.MkdirAll(filepath.Dir(n.Path(path)), 0o755)).To(Succeed())
	n.Expect(writeFile(n.Path(path), []byte(content), 0o644)).To(Succeed())
}

// writeFile writes a file that may be run right away. A process that another test forks meanwhile would have it open for
// writing for a moment, and the kernel then refuses to run it.
func writeFile(path string, content []byte, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, content, mode)
}

func (n *node) exists(path string) bool {
	_, err := os.Lstat(n.Path(path))
	return err == nil
}

// standIn puts a program in front of the real one.
func (n *node) standIn(name, body string) {
	n.t.Helper()
	n.Expect(writeFile(filepath.Join(n.front, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755)).To(Succeed())
}

// program is a copy of sleep under another name.
func (n *node) program(name string) string {
	n.t.Helper()
	sleep, err := exec.LookPath("sleep")
	n.Expect(err).NotTo(HaveOccurred())
	content, err := os.ReadFile(sleep)
	n.Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(n.t.TempDir(), name)
	n.Expect(writeFile(path, content, 0o755)).To(Succeed())
	return path
}

// start starts a process inside, as a child of nobody, and returns when one with that comm is there.
func (n *node) start(comm, name string, args ...string) {
	n.t.Helper()
	argv := append([]string{"-c", `"$@" </dev/null >/dev/null 2>&1 &`, "sh", name}, args...)
	n.Expect(n.Command("sh", argv...).Run()).To(Succeed())
	n.eventually(func() bool { return len(n.pids(comm)) > 0 }, comm+" to run")
}

// pids are the ids, inside, of the processes of a name that are not zombies.
func (n *node) pids(comm string) []string {
	entries, err := filepath.Glob(n.Path("/proc/[0-9]*"))
	n.Expect(err).NotTo(HaveOccurred())
	var pids []string
	for _, entry := range entries {
		stat, err := os.ReadFile(filepath.Join(entry, "stat"))
		if err != nil {
			continue
		}
		if strings.Contains(string(stat), "("+comm+") ") && !strings.Contains(string(stat), ") Z ") {
			pids = append(pids, filepath.Base(entry))
		}
	}
	return pids
}

func (n *node) eventually(happens func() bool, what string) {
	n.t.Helper()
	n.Eventually(happens).WithTimeout(within).WithPolling(10*time.Millisecond).Should(BeTrue(), "waiting for "+what)
}

func check(p v1alpha1.ProcessSpec) Check {
	return Check{Process: p, Timeout: 5 * time.Second, Namespace: "web", Policy: "httpd"}
}

func byName(name string) Check {
	return check(v1alpha1.ProcessSpec{Name: name})
}

func byCommand(command string) Check {
	return check(v1alpha1.ProcessSpec{Command: v1alpha1.ShellCommand(command)})
}

// recovery of a process by a command, with times that suit tests.
func recovery(c Check, command string) Recovery {
	return Recovery{
		Check: c, UID: testUID, Binding: testUID + "/Run",
		Step:    v1alpha1.RecoveryStep{Command: v1alpha1.ShellCommand(command)},
		Keep:    v1alpha1.KeepAlways,
		Timeout: 20 * time.Second, Verify: 0,
		NotAfter: time.Now().Add(time.Hour),
	}
}

// killGroup kills a command with its process group.
func killGroup(cmd *exec.Cmd) error {
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// freePort is a port of loopback, which machines share with the host.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	_, port, err := net.SplitHostPort(l.Addr().String())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(l.Close()).To(Succeed())
	return port
}
