// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestCommandByItsExitCode(t *testing.T) {
	forged := protocol + " " + testBinding + " probed time=1 health=Healthy reason=ProcessRunning boot=- uptime=1 msg=x"
	tests := map[string]struct {
		command string
		health  v1alpha1.Health
		reason  string
		message string
	}{
		"true":  {"true", v1alpha1.HealthHealthy, ReasonCheckPassed, "the check exited 0"},
		"false": {"false", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 1"},
		"first line": {
			"echo; echo ' why '; echo more; exit 3", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 3:  why ",
		},
		"stderr": {
			"echo why >&2; exit 3", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 3: why",
		},
		"137":             {"exit 137", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 137"},
		"killed":          {"kill -9 $$", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 137\n"},
		"194":             {"exit 194", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 194"},
		"not found":       {"no-such-check", v1alpha1.HealthUnknown, ReasonCheckNotRunnable, "exit code 127"},
		"not executable":  {"/etc", v1alpha1.HealthUnknown, ReasonCheckNotRunnable, "exit code 126"},
		"like an option":  {"-x", v1alpha1.HealthUnknown, ReasonCheckNotRunnable, "exit code 127"},
		"several lines":   {"a=1\nb=2\n[ $((a + b)) = 3 ]", v1alpha1.HealthHealthy, ReasonCheckPassed, ""},
		"syntax":          {"if true", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 2"},
		"forged, healthy": {"echo '" + forged + "'", v1alpha1.HealthHealthy, ReasonCheckPassed, ""},
		"forged, failed":  {"echo '" + forged + "'; exit 1", v1alpha1.HealthUnhealthy, ReasonCheckFailed, protocol},
		"control characters": {
			`printf 'a\033[31mb\rc\td\001\n'; exit 1`, v1alpha1.HealthUnhealthy, ReasonCheckFailed, "the check exited 1: a[31mb c d",
		},
		"not UTF-8": {`printf 'a\377b\n'; exit 1`, v1alpha1.HealthUnhealthy, ReasonCheckFailed, "a\uFFFDb"},
		"megabytes": {
			"head -c 20000000 /dev/zero | tr '\\0' x; exit 1", v1alpha1.HealthUnhealthy, ReasonCheckFailed, "xxx",
		},
		"megabytes, 0": {"head -c 20000000 /dev/zero", v1alpha1.HealthHealthy, ReasonCheckPassed, ""},
		"no HOME": {
			`[ -z "${HOME+x}" ] && [ "$PWD" = / ] && [ "$(umask)" = 0022 ]`, v1alpha1.HealthHealthy, ReasonCheckPassed, "",
		},
		"the parameters of the script are not in the environment": {
			"env | grep -E '^(SR_|boot=|work=|run=)' && exit 1; exit 0", v1alpha1.HealthHealthy, ReasonCheckPassed, "",
		},
		"what the agent gave is": {`[ -n "$SSM_COMMAND_ID" ]`, v1alpha1.HealthHealthy, ReasonCheckPassed, ""},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			v := n.probe(byCommand(test.command))
			n.Expect(v.Health).To(Equal(test.health), "%s: %s", name, v.Message)
			n.Expect(v.Reason).To(Equal(test.reason), name)
			n.Expect(v.Message+"\n").To(ContainSubstring(test.message), name)
		}
	})
}

func TestCommandThatHangs(t *testing.T) {
	tests := map[string]string{
		"by itself":                 "sleep 4711",
		"in a child":                "sleep 4711; true",
		"in a session of its own":   "setsid sleep 4711; true",
		"ignoring signals":          "trap '' TERM INT HUP; while :; do sleep 4711; done",
		"stopped":                   "kill -STOP $$",
		"with many children":        "for i in 1 2 3 4 5 6 7 8; do (sleep 4711; sleep 4711) & done; wait",
		"with one that left":        "(setsid sleep 4711 &) ; setsid sh -c 'sleep 4711; true' & wait; sleep 4711",
		"while it prints megabytes": "yes",
	}
	for name, command := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				c := byCommand(command)
				c.Timeout = time.Second
				v := n.probe(c)
				n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
				n.Expect(v.Reason).To(Equal(ReasonCheckTimedOut))
				n.Expect(v.Message).To(Equal("the check did not end within 1 s"))
				n.Expect(n.pids("sleep")).To(BeEmpty(), "everything that it started has ended")
				n.Expect(n.pids("yes")).To(BeEmpty())
				n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host"), "nothing is left behind")
			})
		})
	}
}

func TestCommandThatLeavesAProcessWithItsOutput(t *testing.T) {
	underEachShell(t, func(n *node) {
		script, err := ProbeScript(byCommand(n.program("leftover")+" 4711 & exit 1"), testBinding)
		n.Expect(err).NotTo(HaveOccurred())
		// It returns only when the output is closed.
		a := n.run(script)
		v, err := ReadVerdict(a.stdout, testBinding)
		n.Expect(err).NotTo(HaveOccurred())
		n.Expect(v.Reason).To(Equal(ReasonCheckFailed))
		n.Expect(a.took).To(BeNumerically("<", within))
		n.Expect(n.pids("leftover")).To(HaveLen(1))
	})
}

func TestCommandCannotBeRunWithoutScratch(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh("mkdir /etc/ssm-remediator 2>/dev/null; mount -t tmpfs tmpfs /etc && mkdir /etc/ssm-remediator && " +
			": >/etc/ssm-remediator/host; rm -r /run/ssm-remediator && : >/run/ssm-remediator")
		v := n.probe(byCommand("true"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
		n.Expect(v.Reason).To(Equal(ReasonScratchUnavailable))
	})
}

func TestCommandFindsAWebServerThatIsStopped(t *testing.T) {
	underEachShell(t, func(n *node) {
		port := freePort(t)
		self, err := os.Executable()
		n.Expect(err).NotTo(HaveOccurred())
		for _, name := range []string{webServer, webClient} {
			n.Expect(os.Symlink(self, filepath.Join(n.front, name))).To(Succeed())
		}
		serve := webServer + " 127.0.0.1:" + port + " >/dev/null 2>&1 &"
		n.sh(serve)
		c := byCommand(webClient + " http://127.0.0.1:" + port + "/")
		n.eventually(func() bool { return n.probe(c).Health == v1alpha1.HealthHealthy }, "the web server")
		old := n.pids(webServer)[0]
		n.sh("kill -STOP " + old)
		// A client with the race detector takes a second to end.
		c.Timeout = 6 * time.Second
		v := n.probe(c)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Reason).To(Equal(ReasonCheckTimedOut))

		r := recovery(c, "kill -KILL "+old+"; sleep 0.2; "+serve)
		r.Verify = 60 * time.Second
		report, _ := n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultRecovered), report.Message)
		n.Expect(strings.TrimSpace(report.Output)).To(BeEmpty())
		n.Expect(n.probe(c).Health).To(Equal(v1alpha1.HealthHealthy), "it outlives the script")
	})
}
