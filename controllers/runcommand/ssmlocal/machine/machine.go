// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// DefaultPath is the PATH of commands, as root has it on Debian, Ubuntu and Amazon Linux.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// boot runs as pid 1: it makes the machine, says so, and becomes the process that holds the namespaces together.
//
// An ignored SIGCHLD survives exec and makes the kernel reap every orphan; a shell could not ask for that (dash needs the
// signal itself), hence env. What is mounted here is gone with the mount namespace.
const boot = `set -eu
mount --make-rprivate /
mount -n -t proc -o nosuid,nodev,noexec proc /proc
mount -n -t tmpfs -o mode=755 tmpfs /run
mount -n -t tmpfs -o mode=755 tmpfs /var/lib
if [ -n "$1" ]; then hostname "$1"; fi
umask 0022
mkdir /run/ssm-remediator /run/lock
: >/run/ssm-remediator/host
env --ignore-signal=CHLD true
cd /
echo ready
exec env --ignore-signal=CHLD cat >/dev/null 2>&1
`

// enter sets what nsenter cannot. A shell leaves variables of its own in the environment, which env takes out again.
const enter = `umask 0022 && exec env -u PWD -u OLDPWD -u SHLVL -u _ "$@"`

// Options of a machine. The zero value is a machine with the host's name.
type Options struct {
	// Hostname is the host name inside. Defaults to that of the host.
	Hostname string
	// Env is extra environment of commands, as NAME=value.
	Env []string
	// Path is the PATH of commands. Defaults to DefaultPath.
	Path string
}

// Machine is a running machine. Its methods may be called at the same time.
type Machine struct {
	pid     int
	nsenter string
	enter   []string
	env     []string
	stop    func() error
}

// Start makes a machine. It ends with Stop, and at the latest with this process, however that ends.
//
// The error names the remedy when the kernel does not let this user make namespaces: root may, and other users may where
// user namespaces are enabled for them, which containers often forbid. ctx bounds only the start.
func Start(ctx context.Context, o Options) (*Machine, error) {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return nil, fmt.Errorf("looking for nsenter, which the package util-linux has: %w", err)
	}
	init := exec.Command("sh", "-c", boot, "machine", o.Hostname)
	init.SysProcAttr = namespaces()
	alive, err := init.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the pipe of pid 1: %w", err)
	}
	ready, err := init.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making the pipe of pid 1: %w", err)
	}
	var complaint bytes.Buffer
	init.Stderr = &complaint
	if err := init.Start(); err != nil {
		return nil, fmt.Errorf("starting a machine in namespaces of its own (run as root, or enable unprivileged user "+
			"namespaces, for example with sysctl user.max_user_namespaces=10000): %w", err)
	}
	m := &Machine{
		pid:     init.Process.Pid,
		nsenter: nsenter,
		enter:   enterArgs(init.Process.Pid),
		env:     append([]string{"PATH=" + cmp.Or(o.Path, DefaultPath)}, o.Env...),
		stop:    sync.OnceValue(func() error { return end(init, alive) }),
	}
	if err := m.await(ctx, ready); err != nil {
		_ = m.Stop()
		return nil, fmt.Errorf("setting up a machine (run as root, or enable unprivileged user namespaces and the mounting of "+
			"/proc in them): %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return m, nil
}

// Command prepares a command inside. It runs in a process group of its own, with / as working directory, umask 0022, and
// an environment of exactly PATH and Options.Env, to which the caller may append.
//
// The process that it starts is an nsenter on the host, which passes the exit status on; the group's id is that of nsenter
// and reads as 0 inside. Cancelling is up to the caller: signal the group (the negative process id).
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	argv := slices.Concat(m.enter, []string{"sh", "-c", enter, "sh", name}, args)
	cmd := exec.Command(m.nsenter, argv...)
	cmd.Env = slices.Clone(m.env)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// Path is the path on the host of an absolute path inside. It is good while the machine runs.
func (m *Machine) Path(p string) string {
	return filepath.Join("/proc", strconv.Itoa(m.pid), "root", p)
}

// Stop ends everything in the machine and returns when it has ended. Further calls return what the first one did.
func (m *Machine) Stop() error {
	return m.stop()
}

// await returns when pid 1 has made the machine.
func (m *Machine) await(ctx context.Context, ready io.Reader) error {
	said := make(chan error, 1)
	go func() {
		line := make([]byte, len("ready\n"))
		_, err := io.ReadFull(ready, line)
		said <- err
	}()
	select {
	case err := <-said:
		if err != nil {
			return fmt.Errorf("waiting for pid 1: %w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end kills pid 1, and with it everything in its pid namespace. Waiting for it returns after all of that has ended.
func end(init *exec.Cmd, alive io.Closer) error {
	_ = alive.Close()
	_ = init.Process.Kill()
	if err := init.Wait(); err != nil && init.ProcessState == nil {
		return fmt.Errorf("waiting for pid 1 of a machine: %w", err)
	}
	return nil
}

// namespaces of a machine. Root makes them right away; for another user they lie in a user namespace in which that user is
// root.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS,
		Setpgid:    true,
	}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// enterArgs are the arguments of nsenter, up to the name of the command. The working directory is given because a process
// that enters a mount namespace otherwise keeps the one it had outside.
func enterArgs(pid int) []string {
	args := []string{"--target", strconv.Itoa(pid), "--pid", "--mount", "--uts", "--wd=/"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	return append(args, "--")
}
