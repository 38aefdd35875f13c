// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
)

// patience bounds what real processes may take.
const patience = 30 * time.Second

// node is a world with one instance that runs real processes.
type node struct {
	*world
	machine *machine.Machine
}

func newNode(t *testing.T, shell ...string) *node {
	t.Helper()
	w := newWorld(t)
	m, err := machine.Start(t.Context(), machine.Options{})
	w.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { w.Expect(m.Stop()).To(Succeed()) })
	w.add(nodeA, &ssmlocal.Local{Machine: m, Shell: shell})
	return &node{world: w, machine: m}
}

func (n *node) idle() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	n.Expect(n.server.WaitIdle(ctx)).To(Succeed())
}

// run sends a script and waits for its end.
func (n *node) run(script string, change ...func(*ssm.SendCommandInput)) *ssm.GetCommandInvocationOutput {
	n.t.Helper()
	in := shell(script, nodeA)
	for _, f := range change {
		f(in)
	}
	id := n.send(in)
	n.idle()
	return n.get(id, nodeA)
}

func summary(out *ssm.GetCommandInvocationOutput) string {
	return fmt.Sprintf("%s/%s %d", out.Status, *out.StatusDetails, out.ResponseCode)
}

// started waits until a script has said so in /run/started.
func (n *node) started() {
	n.t.Helper()
	n.Eventually(n.machine.Path, patience, 5*time.Millisecond).WithArguments("/run/started").Should(BeAnExistingFile())
}

// sleepers counts the processes on the machine that sleep.
func (n *node) sleepers() int {
	n.t.Helper()
	out, err := n.machine.Command("sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null | grep -cx sleep || true").Output()
	n.Expect(err).NotTo(HaveOccurred())
	count, err := strconv.Atoi(strings.TrimSpace(string(out)))
	n.Expect(err).NotTo(HaveOccurred())
	return count
}

// tellGroup is the part of a script that tells its process group to groupAlive.
const tellGroup = `read -r _ _ _ _ group _ </proc/$$/stat; echo "$group" >/run/group; `

// groupAlive says whether anything is left of the process group of the script that told it. A script that has no #! line
// goes by the name of its shell, so that its own name finds nothing.
func (n *node) groupAlive() bool {
	n.t.Helper()
	out, err := n.machine.Command("sh", "-c", `kill -s 0 -- "-$(cat /run/group)" 2>/dev/null && echo alive || echo gone`).Output()
	n.Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(out)) == "alive"
}

func TestLocalExitCodes(t *testing.T) {
	n := newNode(t)
	tests := map[string]struct{ script, want, stdout, stderr string }{
		"success":       {"echo out; echo err >&2", "Success/Success 0", "out\n", "err\n"},
		"failure":       {"echo err >&2; exit 3", "Failed/Failed 3", "", "err\nfailed to run commands: exit status 3"},
		"last one wins": {"false; true", "Success/Success 0", "", ""},
		"missing": {
			"no-such-command 2>/dev/null", "Failed/Failed 127", "", "failed to run commands: exit status 127",
		},
		"not executable": {"/dev/null 2>/dev/null", "Failed/Failed 126", "", "failed to run commands: exit status 126"},
		"exit 137":       {"exit 137", "TimedOut/ExecutionTimedOut 137", "", ""},
		"exit 168":       {"echo out; echo err >&2; exit 168", "Success/Success 168", "out\nStep exited with code 168.", ""},
		"exit 169":       {"exit 169", "Failed/Failed 169", "", "failed to run commands: exit status 169"},
		"interpreter":    {"#!/bin/cat\nnot a script", "Success/Success 0", "#!/bin/cat\nnot a script", ""},
		"no input":       {"cat; echo end", "Success/Success 0", "end\n", ""},
		"killed command": {"sh -c 'kill -KILL $$' 2>/dev/null", "TimedOut/ExecutionTimedOut 137", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			out := n.run(tt.script)
			g.Expect(summary(out)).To(Equal(tt.want))
			g.Expect(*out.StandardOutputContent).To(HavePrefix(tt.stdout))
			g.Expect(*out.StandardErrorContent).To(Equal(tt.stderr))
		})
	}
}

func TestLocalShellKilled(t *testing.T) {
	// With bash the script is the agent's own child, so that the agent sees the signal.
	n := newNode(t, "bash")
	out := n.run("kill -KILL $$")
	n.Expect(summary(out)).To(Equal("Failed/Failed -1"))
	n.Expect(*out.StandardErrorContent).To(Equal("failed to run commands: signal: killed"))
}

// TestLocalShells is about those shells that this host has; in CI about all of them, so that a missing one fails there.
func TestLocalShells(t *testing.T) {
	for name, argv := range map[string][]string{"dash": {"dash"}, "busybox": {"busybox", "sh"}, "bash": {"bash"}} {
		if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			n := newNode(t, argv...)
			out := n.run("a=1\nb=2\necho $((a+b))\nexit 4")
			n.Expect(*out.StandardOutputContent).To(Equal("3\n"))
			n.Expect(summary(out)).To(Equal("Failed/Failed 4"))
		})
	}
}

func TestLocalEnvironment(t *testing.T) {
	t.Setenv("HOME", "/root")
	n := newNode(t)
	out := n.run(`env; echo "$0"; umask; test "$(id -u)" = 0 && echo root`)
	id := *out.CommandId
	lines := strings.Fields(*out.StandardOutputContent)
	n.Expect(lines).To(ContainElements(
		"PATH="+machine.DefaultPath, "SSM_COMMAND_ID="+id, "AWS_SSM_INSTANCE_ID="+nodeA, "AWS_SSM_REGION_NAME=eu-central-1",
		"/var/lib/amazon/ssm/"+nodeA+"/document/orchestration/"+id+"/awsrunShellScript/0.awsrunShellScript/_script.sh",
		"0022", "root"))
	n.Expect(lines).NotTo(ContainElement(HavePrefix("HOME=")))
	n.Expect(lines).NotTo(ContainElement(HavePrefix("TERM=")))
	n.Expect(lines).NotTo(ContainElement(HavePrefix("USER=")))
}

func TestLocalProcessGroup(t *testing.T) {
	n := newNode(t, "bash")
	out := n.run("read -r _ _ _ _ group _ </proc/$$/stat\necho $((group == $$))\n" +
		"test -e /proc/$$/fd/3 || echo closed\nkill -s TERM -- -$$")
	n.Expect(*out.StandardOutputContent).To(Equal("1\nclosed\n"), "it leads a group of its own, and has only its streams")
	n.Expect(summary(out)).To(Equal("Failed/Failed -1"))
}

func TestLocalWorkingDirectory(t *testing.T) {
	n := newNode(t)
	tests := map[string]struct{ dir, want, stdout, stderr string }{
		"absolute": {"/usr/bin", "Success/Success 0", "/usr/bin\n", ""},
		"missing": {
			"/no/such", "Failed/Failed 1", "", "failed to run commands: fork/exec /usr/bin/sh: no such file or directory",
		},
		"relative": {"usr/bin", "Success/Success 0", "/\n", ""},
		"home":     {"~", "Success/Success 0", "/\n", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			out := n.run("pwd", func(in *ssm.SendCommandInput) { in.Parameters["workingDirectory"] = []string{tt.dir} })
			g.Expect(summary(out)).To(Equal(tt.want))
			g.Expect(*out.StandardOutputContent).To(Equal(tt.stdout))
			g.Expect(*out.StandardErrorContent).To(Equal(tt.stderr))
		})
	}
}

func TestLocalOutputIsCut(t *testing.T) {
	n := newNode(t)
	out := n.run("head -c 3000000 /dev/zero | tr '\\0' o; head -c 3000000 /dev/zero | tr '\\0' e >&2; exit 9")
	n.Expect(*out.StandardOutputContent).To(Equal(times("o", 23980) + "--output truncated--"))
	n.Expect(*out.StandardErrorContent).To(Equal(times("e", 7980) + "--output truncated--"))
}

func TestLocalTimeout(t *testing.T) {
	tests := map[string]struct {
		script       string
		want, stderr string
		// left is how many sleeps survive.
		left int
	}{
		"hung script": {
			"trap 'echo trapped' EXIT; echo before; touch /run/started; sleep 1000", "TimedOut/ExecutionTimedOut 137", "", 0,
		},
		"stopped script": {
			"echo before; touch /run/started; kill -STOP $$", "TimedOut/ExecutionTimedOut 137", "", 0,
		},
		"daemon that holds the output": {
			"echo before; sleep 1000 & touch /run/started", "TimedOut/ExecutionTimedOut 137", "", 0,
		},
		"session that holds the output": {
			"echo before; setsid sleep 1000 & touch /run/started; wait", "TimedOut/ExecutionTimedOut 137", "", 1,
		},
		"holder outside of the group": {
			"echo before; " + tellGroup + "setsid sh -c 'touch /run/started; exec sleep 1000' & while ! test -e /run/started; do sleep 0.01; done",
			"Failed/Failed 1", "failed to run commands: no such process", 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			id := n.send(shell(tt.script, nodeA))
			n.started()
			if tt.left > 0 || strings.Contains(tt.script, "sleep 1000") {
				n.Eventually(func() int { return n.sleepers() }, patience, 5*time.Millisecond).Should(Equal(1))
			}
			if strings.HasPrefix(name, "holder") {
				// The script itself has to be gone, or its group is not empty yet.
				n.Eventually(n.groupAlive, patience, 5*time.Millisecond).Should(BeFalse())
			}
			n.clock.Step(59 * time.Second)
			n.Expect(n.invocation(id, nodeA)).To(Equal("InProgress/InProgress -1"))
			n.clock.Step(time.Second)
			n.idle()
			out := n.get(id, nodeA)
			n.Expect(summary(out)).To(Equal(tt.want))
			n.Expect(*out.StandardOutputContent).To(Equal("before\n"))
			n.Expect(*out.StandardErrorContent).To(Equal(tt.stderr))
			n.Expect(n.sleepers()).To(Equal(tt.left))
			n.Expect(n.server.Ledger()[0].End).To(Equal(n.clock.Now()))
		})
	}
}

func TestLocalDaemonSurvives(t *testing.T) {
	n := newNode(t)
	out := n.run("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo done")
	n.Expect(summary(out)).To(Equal("Success/Success 0"))
	// The command is over when setsid has closed its streams, which may be before it has become the daemon.
	n.Eventually(func() int { return n.sleepers() }, patience, 5*time.Millisecond).Should(Equal(1))
}

func TestLocalCancel(t *testing.T) {
	n := newNode(t)
	id := n.send(shell("touch /run/started; sleep 1000", nodeA))
	n.started()
	_, err := n.client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &id})
	n.Expect(err).NotTo(HaveOccurred())
	n.idle()
	n.Expect(n.invocation(id, nodeA)).To(Equal("Cancelled/Cancelled 137"))
	n.Expect(n.sleepers()).To(BeZero())
}

func TestLocalReboot(t *testing.T) {
	n := newNode(t)
	out := n.run("test -e /run/again && { echo second; exit 0; }; touch /run/again; exit 194")
	n.Expect(summary(out)).To(Equal("Success/Success 0"))
	n.Expect(*out.StandardOutputContent).To(Equal("second\n"))
	n.Expect(n.server.Reboots(nodeA)).To(Equal(1))
	n.Expect(kinds(n.server.Ledger())).To(Equal([]ssmlocal.Kind{ssmlocal.Run, ssmlocal.Rerun}))
}

func TestLocalReplay(t *testing.T) {
	n := newNode(t)
	out := n.run("echo x >>/run/count; cat /run/count")
	n.Expect(n.server.Replay(nodeA, *out.CommandId)).To(Succeed())
	n.idle()
	n.Expect(os.ReadFile(n.machine.Path("/run/count"))).To(BeEquivalentTo("x\nx\n"))
	n.Expect(*n.get(*out.CommandId, nodeA).StandardOutputContent).To(Equal("x\n"))
	n.Expect(kinds(n.server.Ledger())).To(Equal([]ssmlocal.Kind{ssmlocal.Run, ssmlocal.Replay}))
}

func TestLocalAgentQueue(t *testing.T) {
	n := newNode(t)
	script := `mkdir -p /run/started; touch "/run/started/$SSM_COMMAND_ID"; while ! test -e /run/go; do sleep 0.01; done`
	for range 7 {
		n.send(shell(script, nodeA))
	}
	startedNow := func() int {
		entries, _ := os.ReadDir(n.machine.Path("/run/started"))
		return len(entries)
	}
	n.Eventually(startedNow, patience, 5*time.Millisecond).Should(Equal(5))
	n.Expect(n.server.Ledger()).To(HaveLen(5))
	n.Expect(os.WriteFile(n.machine.Path("/run/go"), nil, 0o600)).To(Succeed())
	n.idle()
	n.Expect(startedNow()).To(Equal(7))
}

func TestLocalWaitsForTheAcknowledgement(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.AckDelay = time.Second })
	m, err := machine.Start(t.Context(), machine.Options{})
	w.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { w.Expect(m.Stop()).To(Succeed()) })
	w.add(nodeA, &ssmlocal.Local{Machine: m})
	w.send(shell("touch /run/ran", nodeA))
	w.Expect(w.server.Ledger()).To(BeEmpty())
	w.clock.Step(time.Second)
	w.Eventually(m.Path, patience, 5*time.Millisecond).WithArguments("/run/ran").Should(BeAnExistingFile(), "without anybody asking")
}

func TestAgentSweepsOldDirectories(t *testing.T) {
	n := newNode(t)
	directories := func() []string {
		list, err := filepath.Glob(n.machine.Path("/var/lib/amazon/ssm/" + nodeA + "/document/orchestration/*"))
		n.Expect(err).NotTo(HaveOccurred())
		return list
	}
	n.run("true")
	info, err := os.Stat(directories()[0])
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(info.ModTime()).To(BeTemporally("==", n.clock.Now()), "a directory is as old as the server's clock says")
	n.clock.Step(14 * 24 * time.Hour)
	n.run("true")
	n.Expect(directories()).To(HaveLen(2))
	n.clock.Step(time.Second)
	n.run("true")
	n.Expect(directories()).To(HaveLen(2))
}

func TestCloseEndsProcesses(t *testing.T) {
	n := newNode(t)
	n.send(shell("touch /run/started; sleep 1000", nodeA))
	n.started()
	n.Expect(n.server.Close()).To(Succeed())
	n.Expect(n.sleepers()).To(BeZero())
}
