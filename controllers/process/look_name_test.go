// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestNameOfARunningProcess(t *testing.T) {
	underEachShell(t, func(n *node) {
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Reason).To(Equal(ReasonProcessNotRunning))
		n.Expect(v.Message).To(Equal("no process of the name webserver runs"))

		n.start("webserver", n.program("webserver"), "1000")
		v = n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(v.Reason).To(Equal(ReasonProcessRunning))
		n.Expect(n.probe(byName("webserve")).Health).To(Equal(v1alpha1.HealthUnhealthy), "a part of the name")
		n.Expect(n.probe(byName("webserverd")).Health).To(Equal(v1alpha1.HealthUnhealthy), "more than the name")
		n.Expect(n.probe(byName("webserve?")).Health).To(Equal(v1alpha1.HealthUnhealthy), "a name is no pattern")
	})
}

func TestNameWithBlanksAndParentheses(t *testing.T) {
	underEachShell(t, func(n *node) {
		for _, name := range []string{"a b (c) d", "x) S 1 (y", "(sd-pam)", "*", `back\slash`, "it's"} {
			n.Expect(n.probe(byName(name)).Health).To(Equal(v1alpha1.HealthUnhealthy), name)
			n.start(name, n.program(name), "1000")
			n.Expect(n.probe(byName(name)).Health).To(Equal(v1alpha1.HealthHealthy), name)
		}
		n.Expect(n.probe(byName("x")).Health).To(Equal(v1alpha1.HealthUnhealthy), "the name ends at the last parenthesis")
	})
}

func TestNameOverFifteenCharacters(t *testing.T) {
	const long = "orders-frontend-service"
	tests := map[string]struct {
		name   string
		argv   func(n *node) []string
		health v1alpha1.Health
	}{
		"by its executable": {
			long, func(n *node) []string { return []string{n.program(long), "1000"} }, v1alpha1.HealthHealthy,
		},
		"a script by its second argument": {long, func(n *node) []string {
			path := filepath.Join(n.t.TempDir(), long)
			n.Expect(writeFile(path, []byte("#!/bin/sh\nread line </run/never\n"), 0o755)).To(Succeed())
			n.sh("mkfifo /run/never")
			return []string{path}
		}, v1alpha1.HealthHealthy},
		"one that has only the beginning in common": {
			long, func(n *node) []string { return []string{n.program("orders-frontend-worker"), "1000"} },
			v1alpha1.HealthUnhealthy,
		},
		"the cut name itself is another name": {
			long[:15], func(n *node) []string { return []string{n.program(long[:15]), "1000"} }, v1alpha1.HealthHealthy,
		},
		"exactly sixteen": {
			long[:16], func(n *node) []string { return []string{n.program(long[:16]), "1000"} }, v1alpha1.HealthHealthy,
		},
		"cut within a character": {
			"bestellungen-äöü", func(n *node) []string { return []string{n.program("bestellungen-äöü"), "1000"} },
			v1alpha1.HealthHealthy,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				argv := test.argv(n)
				base := filepath.Base(argv[0])
				n.start(base[:min(15, len(base))], argv[0], argv[1:]...)
				n.Expect(n.probe(byName(test.name)).Health).To(Equal(test.health))
			})
		})
	}
}

func TestNameOfADeletedExecutable(t *testing.T) {
	underEachShell(t, func(n *node) {
		const long = "orders-frontend-service"
		path := n.program(long)
		// With another argv[0], only the executable tells.
		n.Expect(os.Symlink(path, filepath.Join(filepath.Dir(path), "link"))).To(Succeed())
		n.start(long[:15], path, "1000")
		n.Expect(os.Remove(path)).To(Succeed())
		n.Expect(n.probe(byName(long)).Health).To(Equal(v1alpha1.HealthHealthy), "replaced by an upgrade while it runs")
	})
}

func TestNameOfAZombie(t *testing.T) {
	underEachShell(t, func(n *node) {
		program := n.program("webserver")
		// The parent never waits: it has become a program that knows nothing of the child.
		n.start("sleep", "sh", "-c", program+" 0.1 & exec sleep 1000")
		zombies := func() bool {
			return strings.Contains(n.sh("cat /proc/[0-9]*/stat 2>/dev/null || true"), "(webserver) Z")
		}
		n.eventually(zombies, "a zombie")
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
	})
}

func TestNameOfAProcessWhoseFirstThreadHasEnded(t *testing.T) {
	underEachShell(t, func(n *node) {
		content, err := os.ReadFile(os.Args[0])
		n.Expect(err).NotTo(HaveOccurred())
		path := filepath.Join(n.t.TempDir(), "headless-server-of-tests")
		n.Expect(writeFile(path, content, 0o755)).To(Succeed())
		n.sh("env " + headless + "=1 " + path + " >/dev/null 2>&1 &")
		ended := func() bool {
			return strings.Contains(n.sh("cat /proc/[0-9]*/stat 2>/dev/null || true"), "(headless-server) Z")
		}
		n.eventually(ended, "the first thread to end")
		n.Expect(n.probe(byName("headless-server-of-tests")).Health).To(Equal(v1alpha1.HealthHealthy))
	})
}

func TestNameOfAStoppedProcessRuns(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		n.sh("kill -STOP " + n.pids("webserver")[0])
		n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthHealthy),
			"only a check by command can see that it hangs")
	})
}

func TestNameInAContainer(t *testing.T) {
	underEachShell(t, func(n *node) {
		program := n.program("webserver")
		n.start("webserver", "unshare", "--pid", "--fork", program, "1000")
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Message).To(HaveSuffix("1 in containers do not count"))
		n.sh(program + " 1000 >/dev/null 2>&1 &")
		n.eventually(func() bool { return len(n.pids("webserver")) == 2 }, "the one on the host")
		n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthHealthy))
	})
}

func TestNameWhoseNamespaceCannotBeRead(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		v := n.probe(byName("webserver"), "/usr/bin/setpriv", "--bounding-set", "-sys_ptrace")
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
		n.Expect(v.Reason).To(Equal(ReasonNamespaceUnreadable))
		v = n.probe(byName("other"), "/usr/bin/setpriv", "--bounding-set", "-sys_ptrace")
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy), "no candidate, no doubt")
	})
}

func TestNameDoesNotMatchTheProbeItself(t *testing.T) {
	underEachShell(t, func(n *node) {
		for _, name := range []string{"sh", "_script.sh", "date", "head"} {
			n.Expect(n.probe(byName(name)).Health).To(Equal(v1alpha1.HealthUnhealthy), name)
		}
		// With a wrapper that stays, as a shell that does not replace itself.
		script, err := ProbeScript(byName("sh"), testBinding)
		n.Expect(err).NotTo(HaveOccurred())
		cmd, directory := n.command(script)
		file := directory + "/awsrunShellScript/0.awsrunShellScript/_script.sh"
		cmd.Args = append(cmd.Args[:len(cmd.Args)-1], "sh "+file+"; exit 1")
		out, _ := cmd.Output()
		v, err := ReadVerdict(string(out), testBinding)
		n.Expect(err).NotTo(HaveOccurred())
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy), v.Message)
	})
}
