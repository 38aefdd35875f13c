// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// byFile is a process that is healthy while a file is there.
func byFile() Check {
	return byCommand("[ -e /run/healthy ]")
}

// allPhases are those of a command without evidence that was run.
var allPhases = []PhaseName{PhaseStarted, PhaseProbed, PhaseActing, PhaseActed, PhaseVerified, PhaseDone}

func phases(r Report) []PhaseName {
	var names []PhaseName
	for _, p := range r.Phases {
		names = append(names, p.Name)
	}
	return names
}

func TestRecovered(t *testing.T) {
	underEachShell(t, func(n *node) {
		webserver := n.program("webserver")
		// The daemon keeps the output of the step, and of the agent if it could get at it.
		report, a := n.recover(recovery(byName("webserver"), "echo starting; "+webserver+" 1000 & sleep 0.5; echo started >&2"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultRecovered), report.Message)
		n.Expect(report.Reason).To(Equal(ReasonProcessRunning))
		n.Expect(report.Message).To(Equal("the step exited 0; healthy after 0 s"))
		n.Expect(report.Acted).To(BeTrue())
		n.Expect(report.ExitCode).To(HaveValue(BeEquivalentTo(0)))
		n.Expect(report.Output).To(Equal("starting\nstarted"))
		n.Expect(report.Evidence).To(BeNil())
		n.Expect(report.Before.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(report.After.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(phases(report)).To(Equal(allPhases))
		n.Expect(report.Phases[0].Time).To(BeTemporally("~", time.Now(), time.Minute))
		n.Expect(a.took).To(BeNumerically("<", within), "it ends although the daemon holds its output")
		n.Expect(n.pids("webserver")).To(HaveLen(1), "the daemon outlives the command")
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/" + testUID)).To(BeTrue())
		n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host\nlock"), "nothing else is left behind")
	})
}

func TestRecoveredLater(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := recovery(byFile(), "(sleep 1.5; touch /run/healthy) & exit 7")
		r.Verify = 20 * time.Second
		report, a := n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultRecovered), "whatever it exited with")
		n.Expect(report.ExitCode).To(HaveValue(BeEquivalentTo(7)))
		n.Expect(a.took).To(BeNumerically("<", 15*time.Second), "it does not wait for all of the time")
	})
}

// TestNotNeeded recovers the process between detection and recovery.
func TestNotNeeded(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.start("webserver", n.program("webserver"), "1000")
		report, _ := n.recover(recovery(byName("webserver"), "touch /run/acted"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultNotNeeded))
		n.Expect(report.Acted).To(BeFalse())
		n.Expect(report.ExitCode).To(BeNil())
		n.Expect(report.Before.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(report.After).To(BeNil())
		n.Expect(n.exists("/run/acted")).To(BeFalse())
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/" + testUID)).To(BeFalse())
	})
}

func TestWithheld(t *testing.T) {
	tests := map[string]struct {
		prepare string
		change  func(r *Recovery)
		reason  string
		message string
	}{
		"held": {"touch " + holdFile, nil, ReasonHoldFile, "held by " + holdFile},
		"unknown": {
			"", func(r *Recovery) { r.Check = byCommand("no-such-command") }, ReasonCheckNotRunnable, "exit code 127",
		},
		"too late": {
			"", func(r *Recovery) { r.NotAfter = time.Now().Add(-time.Minute) }, ReasonTooLate, "s earlier",
		},
		"too late when the check has ended": {
			"", func(r *Recovery) { r.Check = byCommand("echo 9000000000 >/run/now; false") }, ReasonTooLate, "s earlier",
		},
		"ran before": {
			"mkdir -p /var/lib/ssm-remediator/ran/" + testUID, nil, ReasonAlreadyRan, "has run on the node before",
		},
		"no marker": {"touch /var/lib/ssm-remediator", nil, ReasonCannotRecord, "cannot be made"},
		"no lock":   {"touch /run/ssm-remediator/lock", nil, ReasonCannotRecord, "cannot be written"},
		"read-only": {"mount -t tmpfs -o ro tmpfs /var/lib/ssm-remediator", nil, ReasonCannotRecord, "cannot be made"},
		"a node that is full": {
			"mount -t tmpfs -o size=1m tmpfs /var/lib/ssm-remediator; head -c 2000000 /dev/zero >/var/lib/ssm-remediator/x; :",
			nil, ReasonCannotRecord, "cannot be written",
		},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.standIn("date", "cat /run/now")
			n.write("/run/now", epoch(time.Now()))
			n.sh("mkdir -p /var/lib/ssm-remediator; umount /var/lib/ssm-remediator 2>/dev/null; " +
				"rm -rf /var/lib/ssm-remediator /run/ssm-remediator/lock " + holdFile)
			if strings.HasPrefix(test.prepare, "mount") {
				n.sh("mkdir /var/lib/ssm-remediator")
			}
			n.sh(test.prepare)
			r := recovery(byName("webserver"), "touch /run/acted")
			if test.change != nil {
				test.change(&r)
			}
			report, _ := n.recover(r)
			n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld), name)
			n.Expect(report.Reason).To(Equal(test.reason), name)
			n.Expect(report.Message).To(ContainSubstring(test.message), name)
			n.Expect(report.Acted).To(BeFalse(), name)
			n.Expect(n.exists("/run/acted")).To(BeFalse(), name)
		}
	})
}

func TestRunsAtMostOnce(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := recovery(byName("webserver"), "echo ran >>/run/effects")
		first, _ := n.recover(r)
		n.Expect(first.Result).To(Equal(v1alpha1.ResultIneffective))
		second, _ := n.recover(r)
		n.Expect(second.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(second.Reason).To(Equal(ReasonAlreadyRan))
		n.Expect(n.sh("cat /run/effects")).To(Equal("ran"))
	})
}

func TestStillDown(t *testing.T) {
	underEachShell(t, func(n *node) {
		tests := map[string]struct {
			command string
			change  func(r *Recovery)
			result  v1alpha1.Result
			exit    any
			message string
		}{
			"ended well": {
				"true", nil, v1alpha1.ResultIneffective, HaveValue(BeEquivalentTo(0)), "the step exited 0; still not healthy",
			},
			"failed": {
				"exit 3", nil, v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(3)), "the step exited 3; still not healthy",
			},
			"137":       {"exit 137", nil, v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(137)), ""},
			"168":       {"exit 168", nil, v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(168)), ""},
			"194":       {"exit 194", nil, v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(194)), ""},
			"killed":    {"kill -KILL $$", nil, v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(137)), ""},
			"not found": {"no-such-command", nil, v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(127)), ""},
			"no directory": {
				"touch /run/acted", func(r *Recovery) { r.Step.WorkingDirectory = "/no/such directory" },
				v1alpha1.ResultFailed, HaveValue(BeEquivalentTo(1)), "the step exited 1",
			},
			"hangs": {
				"sleep 4711", func(r *Recovery) { r.Timeout = time.Second },
				v1alpha1.ResultTimedOut, BeNil(), "the step was ended after 1 s; still not healthy",
			},
		}
		i := 0
		for name, test := range tests {
			r := recovery(byName("webserver"), test.command)
			if test.change != nil {
				test.change(&r)
			}
			i++
			r.UID = fmt.Sprintf("%s-%d", testUID, i)
			report, _ := n.recover(r)
			n.Expect(report.Result).To(Equal(test.result), name)
			n.Expect(report.ExitCode).To(test.exit.(OmegaMatcher), name)
			n.Expect(report.Message).To(ContainSubstring(test.message), name)
			n.Expect(report.Reason).To(Equal(ReasonProcessNotRunning), name)
			n.Expect(n.exists("/run/acted")).To(BeFalse(), name)
		}
	})
}

func TestStepThatHangs(t *testing.T) {
	tests := map[string]string{
		"ignoring signals":        "trap '' TERM INT HUP; while :; do sleep 4711; done",
		"in a session of its own": "setsid sleep 4711; true",
		"with children":           "for i in 1 2 3 4; do (setsid sleep 4711; sleep 4711) & done; wait",
		"while it prints":         "yes",
	}
	for name, command := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				r := recovery(byName("webserver"), command)
				r.Timeout = time.Second
				report, _ := n.recover(r)
				n.Expect(report.Result).To(Equal(v1alpha1.ResultTimedOut))
				n.Expect(n.pids("sleep")).To(BeEmpty())
				n.Expect(n.pids("yes")).To(BeEmpty())
			})
		})
	}
}

func TestStepThatHangsAfterTheRecovery(t *testing.T) {
	underEachShell(t, func(n *node) {
		r := recovery(byName("webserver"), "(setsid "+n.program("webserver")+" 1000 &); sleep 0.3; sleep 4711")
		r.Timeout = 2 * time.Second
		report, _ := n.recover(r)
		n.Expect(report.Result).To(Equal(v1alpha1.ResultRecovered), "%s: a daemon that has left the step stays", report.Message)
		n.Expect(report.ExitCode).To(BeNil())
		n.Expect(report.Message).To(HavePrefix("the step was ended after 2 s; healthy"))
	})
}

func TestEnvironmentOfTheStep(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh("mkdir -p \"/run/it's here\"")
		// busybox sh starts a script with SIGQUIT ignored.
		plain := n.run("/usr/bin/grep SigIgn /proc/self/status | cut -f 2\n:\n")
		r := recovery(byName("webserver"), `pwd; umask; echo "home ${HOME-none}"; echo "0 $(readlink /proc/$$/fd/0)"
for fd in 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || echo "descriptor $fd"; done
echo "id ${#SSM_COMMAND_ID}"; env | grep -c -E '^(SR_|SSM_REMEDIATOR|boot=|work=|mark=)'
/usr/bin/grep SigIgn /proc/self/status | cut -f 2
set -- $(cat /proc/$$/stat); echo "session $(($6 - $PPID))"`)
		r.Step.WorkingDirectory = "/run/it's here"
		report, _ := n.recover(r)
		n.Expect(strings.Split(report.Output, "\n")).To(HaveExactElements(
			"/run/it's here", "0022", "home none", "0 /dev/null", "id 36", "0", strings.TrimSpace(plain.stdout), "session 0",
		))
	})
}
