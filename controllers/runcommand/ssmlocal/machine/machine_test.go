// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// parentEnv makes the test binary a process that starts a machine and waits to be killed.
const parentEnv = "MACHINE_TEST_PARENT"

func TestMain(m *testing.M) {
	if marker := os.Getenv(parentEnv); marker != "" {
		fmt.Println(beParent(marker))
		select {}
	}
	os.Exit(m.Run())
}

func beParent(marker string) error {
	inside, err := Start(context.Background(), Options{})
	if err != nil {
		return err
	}
	return inside.Command("sh", "-c", "setsid sleep "+marker+" >/dev/null 2>&1 & sleep "+marker).Start()
}

func start(t *testing.T, o Options) *Machine {
	t.Helper()
	m, err := Start(t.Context(), o)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { NewWithT(t).Expect(m.Stop()).To(Succeed()) })
	return m
}

// output runs a shell script inside.
func output(t *testing.T, m *Machine, script string) string {
	t.Helper()
	cmd := m.Command("sh", "-c", script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), stderr.String())
	return string(out)
}

// running returns the ids of the processes on the host whose command line has the marker.
func running(marker string) []string {
	var pids []string
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		if argv := strings.Split(string(line), "\x00"); argv[0] == "sleep" && len(argv) > 1 && argv[1] == marker {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

func TestCommandEnvironment(t *testing.T) {
	t.Setenv("HOME", "/root")
	t.Setenv("TERM", "xterm")
	m := start(t, Options{Hostname: "web-1", Env: []string{"ROLE=web"}})
	tests := map[string]struct{ script, want string }{
		"hostname":          {"cat /proc/sys/kernel/hostname", "web-1\n"},
		"is root":           {"id -u", "0\n"},
		"working directory": {"pwd", "/\n"},
		"umask":             {"umask", "0022\n"},
		"says what it is":   {"test -f /run/ssm-remediator/host && echo yes", "yes\n"},
		"lib is empty":      {"ls -A /var/lib", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(output(t, m, tt.script)).To(Equal(tt.want))
		})
	}

	t.Run("environment", func(t *testing.T) {
		g := NewWithT(t)
		out, err := m.Command("env").Output()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(strings.Fields(string(out))).To(ConsistOf("PATH="+DefaultPath, "ROLE=web"))
	})
	t.Run("umask of the caller does not matter", func(t *testing.T) {
		old := syscall.Umask(0o077)
		defer syscall.Umask(old)
		NewWithT(t).Expect(output(t, m, "umask")).To(Equal("0022\n"))
	})
}

func TestCommandExit(t *testing.T) {
	m := start(t, Options{})
	tests := map[string]struct {
		script string
		code   int
		signal syscall.Signal
	}{
		"success": {"true", 0, -1},
		"failure": {"exit 7", 7, -1},
		"signal":  {"kill -KILL $$", -1, syscall.SIGKILL},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			cmd := m.Command("sh", "-c", tt.script)
			_ = cmd.Run()
			g.Expect(cmd.ProcessState.ExitCode()).To(Equal(tt.code))
			g.Expect(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal()).To(Equal(tt.signal))
		})
	}
}

func TestOrphansAreReaped(t *testing.T) {
	g := NewWithT(t)
	m := start(t, Options{})
	// Each subshell leaves an orphan that outlives it and then exits.
	output(t, m, `i=0; while [ $i -lt 100 ]; do (sh -c 'sleep 0.1; exit 3' &); i=$((i+1)); done >/dev/null`)
	g.Eventually(func() string {
		return output(t, m, `grep -l "^PPid:[[:space:]]1$" /proc/[0-9]*/status 2>/dev/null || echo none`)
	}, 10*time.Second, 20*time.Millisecond).Should(Equal("none\n"))
}

func TestZombieStaysWithItsParent(t *testing.T) {
	m := start(t, Options{})
	// The background process outlives the exec into a program that never waits for it, so it becomes a zombie.
	cmd := m.Command("sh", "-c", `sh -c 'exit 0' & exec sleep 86400`)
	g := NewWithT(t)
	g.Expect(cmd.Start()).To(Succeed())
	g.Eventually(func() string {
		return output(t, m, `grep -h "^State:" /proc/[0-9]*/status 2>/dev/null`)
	}, 10*time.Second, 20*time.Millisecond).Should(ContainSubstring("zombie"))
	g.Expect(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)).To(Succeed())
	_ = cmd.Wait()
}

func TestMachinesArePrivate(t *testing.T) {
	g := NewWithT(t)
	a, b := start(t, Options{}), start(t, Options{})

	output(t, a, "echo a >/run/mine; mkdir /var/lib/mine")
	g.Expect(output(t, b, "ls /run /var/lib")).NotTo(ContainSubstring("mine"))
	g.Expect("/run/mine").NotTo(BeAnExistingFile())
	g.Expect(os.ReadFile(a.Path("/run/mine"))).To(BeEquivalentTo("a\n"))
	g.Expect(os.WriteFile(b.Path("/var/lib/note"), []byte("from outside"), 0o600)).To(Succeed())
	g.Expect(output(t, b, "cat /var/lib/note")).To(Equal("from outside"))

	sleeper := a.Command("sleep", "86401")
	g.Expect(sleeper.Start()).To(Succeed())
	const sleepers = `cat /proc/[0-9]*/comm | grep -c sleep || true`
	g.Eventually(func() string { return output(t, a, sleepers) }, 10*time.Second, 20*time.Millisecond).Should(Equal("1\n"))
	g.Expect(output(t, b, sleepers)).To(Equal("0\n"))
	g.Expect(a.Stop()).To(Succeed())
	_ = sleeper.Wait()
	g.Expect(output(t, b, "echo alive")).To(Equal("alive\n"))
}

func TestStopLeavesNothing(t *testing.T) {
	g := NewWithT(t)
	m := start(t, Options{})
	const marker = "86402"
	cmd := m.Command("sh", "-c", "setsid sleep "+marker+" </dev/null >/dev/null 2>&1 & sleep "+marker)
	g.Expect(cmd.Start()).To(Succeed())
	g.Eventually(func() []string { return running(marker) }, 10*time.Second, 20*time.Millisecond).Should(HaveLen(2))

	g.Expect(m.Stop()).To(Succeed())
	g.Expect(running(marker)).To(BeEmpty())
	g.Expect(m.Stop()).To(Succeed())
	_ = cmd.Wait()
	g.Expect(m.Command("true").Run()).NotTo(Succeed())
}

func TestKilledParentLeavesNothing(t *testing.T) {
	g := NewWithT(t)
	const marker = "86403"
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+marker)
	out, err := parent.StdoutPipe()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(parent.Start()).To(Succeed())
	g.Expect(bufio.NewReader(out).ReadString('\n')).To(Equal("<nil>\n"))
	g.Eventually(func() []string { return running(marker) }, 10*time.Second, 20*time.Millisecond).Should(HaveLen(2))

	g.Expect(parent.Process.Kill()).To(Succeed())
	_ = parent.Wait()
	g.Eventually(func() []string { return running(marker) }, 10*time.Second, 20*time.Millisecond).Should(BeEmpty())
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Run("no nsenter", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Start(t.Context(), Options{})
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("util-linux")))
	})
	t.Run("set-up fails", func(t *testing.T) {
		g := NewWithT(t)
		// A mount that fails stands for a kernel that does not permit it.
		dir := t.TempDir()
		fake := filepath.Join(dir, "mount")
		g.Expect(os.WriteFile(fake, []byte("#!/bin/sh\necho permission denied >&2\nexit 32\n"), 0o700)).To(Succeed())
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		_, err := Start(t.Context(), Options{})
		g.Expect(err).To(MatchError(And(ContainSubstring("run as root"), ContainSubstring("permission denied"))))
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Start(ctx, Options{})
		NewWithT(t).Expect(err).To(MatchError(context.Canceled))
	})
}
