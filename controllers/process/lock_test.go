// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const lockFolder = "/run/ssm-remediator/lock"

// effect is a recovery that leaves a line in /run/effects.
func effect(uid string) Recovery {
	r := recovery(byName("webserver"), "echo ran >>/run/effects; sleep 1")
	r.UID = uid
	return r
}

// together runs recoveries at once.
func (n *node) together(count int, of func(i int) Recovery) []Report {
	n.t.Helper()
	var wait sync.WaitGroup
	reports := make([]Report, count)
	errs := make([]error, count)
	for i := range count {
		r := of(i)
		script, err := RecoveryScript(r)
		n.Expect(err).NotTo(HaveOccurred())
		cmd, _ := n.command(script)
		wait.Go(func() {
			out, _ := cmd.Output()
			reports[i], errs[i] = ReadReport(string(out), r.Binding)
		})
	}
	wait.Wait()
	for _, err := range errs {
		n.Expect(err).NotTo(HaveOccurred())
	}
	return reports
}

func results(reports []Report) map[string]int {
	counts := map[string]int{}
	for _, r := range reports {
		counts[strings.TrimSuffix(string(r.Result)+"/"+r.Reason, "/"+ReasonProcessNotRunning)]++
	}
	return counts
}

func TestOneOfManyRecoveriesActs(t *testing.T) {
	tests := map[string]string{
		"never locked":               "",
		"released":                   "released",
		"of an earlier boot":         "11111111-0000-4000-8000-000000000000 999999999 other",
		"expired":                    "$(cat /proc/sys/kernel/random/boot_id) 1 other",
		"released after many others": "released",
	}
	for name, lock := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				if lock != "" {
					n.sh(fmt.Sprintf(`mkdir -p %[1]s && echo "%[2]s" >%[1]s/9 && echo released >%[1]s/4`, lockFolder, lock))
				}
				reports := n.together(6, func(i int) Recovery { return effect(fmt.Sprintf("%s-%d", testUID, i)) })
				n.Expect(results(reports)).To(Equal(map[string]int{
					"Ineffective": 1, "Withheld/" + ReasonOtherRecovery: 5,
				}))
				n.Expect(n.sh("cat /run/effects")).To(Equal("ran"))
				n.Expect(n.sh("cat " + lockFolder + "/*")).To(Equal("released"))
			})
		})
	}
}

func TestOneOfManyDeliveriesActs(t *testing.T) {
	underEachShell(t, func(n *node) {
		reports := n.together(6, func(int) Recovery { return effect(testUID) })
		counts := results(reports)
		n.Expect(counts["Ineffective"]).To(Equal(1))
		n.Expect(counts["Withheld/"+ReasonOtherRecovery]+counts["Withheld/"+ReasonAlreadyRan]).To(Equal(5), "%v", counts)
		n.Expect(n.sh("cat /run/effects")).To(Equal("ran"))
	})
}

func TestLockIsHeldByAnother(t *testing.T) {
	tests := map[string]struct{ content, message string }{
		"in force": {
			"$(cat /proc/sys/kernel/random/boot_id) $(($(cut -d. -f1 /proc/uptime) + 100)) other-uid", "recovery other-uid",
		},
		"cannot be read": {"", lockFolder + "/7"},
		"no time in it":  {"$(cat /proc/sys/kernel/random/boot_id) soon other-uid", lockFolder + "/7"},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.sh(fmt.Sprintf(`mkdir -p %[1]s && printf '%%s' "%[2]s" >%[1]s/7; echo released >%[1]s/6`, lockFolder, test.content))
			if test.content != "" {
				n.sh("echo >>" + lockFolder + "/7")
			}
			report, _ := n.recover(recovery(byName("webserver"), "touch /run/acted"))
			n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld), name)
			n.Expect(report.Reason).To(Equal(ReasonOtherRecovery), name)
			n.Expect(report.Message).To(ContainSubstring(test.message), name)
			n.Expect(n.exists("/run/acted")).To(BeFalse())
		}
	})
}

// TestSecondDeliveryWhileTheFirstRuns is told from a node that another recovery holds: this one may act yet.
func TestSecondDeliveryWhileTheFirstRuns(t *testing.T) {
	underEachShell(t, func(n *node) {
		boot := n.sh("cat /proc/sys/kernel/random/boot_id")
		n.write(lockFolder+"/7", boot+" 999999999 "+testUID+"\n")
		report, _ := n.recover(recovery(byName("webserver"), "touch /run/acted"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(report.Reason).To(Equal(ReasonAlreadyRan))
		n.Expect(report.Message).To(Equal("this recovery is running on the node"))
		n.Expect(n.exists("/run/acted")).To(BeFalse())
		n.Expect(n.sh("cat "+lockFolder+"/*")).To(HaveSuffix(testUID), "the lock stays that of the first")
	})
}

func TestLockIsReleasedOnEveryWayOut(t *testing.T) {
	ways := map[string]Recovery{
		"acted":     recovery(byName("webserver"), "false"),
		"held":      recovery(byCommand("no-such-command"), "true"),
		"healthy":   recovery(byCommand("true"), "true"),
		"timed out": recovery(byName("webserver"), "sleep 4711"),
	}
	underEachShell(t, func(n *node) {
		i := 0
		for name, r := range ways {
			r.Timeout = time.Second
			i++
			r.UID = fmt.Sprintf("%s-%d", testUID, i)
			n.recover(r)
			n.Expect(n.sh("cat "+lockFolder+"/*")).To(Equal("released"), name)
		}
	})
}

// ongoing starts a recovery that has acted, and looks for a process that does not come.
func (n *node) ongoing(step string) (cmd *exec.Cmd, stdout *buffer) {
	n.t.Helper()
	r := recovery(byCommand("false"), step)
	r.Verify = time.Hour
	script, err := RecoveryScript(r)
	n.Expect(err).NotTo(HaveOccurred())
	cmd, _ = n.command(script)
	stdout = &buffer{}
	cmd.Stdout = stdout
	n.Expect(cmd.Start()).To(Succeed())
	n.eventually(func() bool { return strings.Contains(stdout.String(), " acted ") }, "the step to end")
	return cmd, stdout
}

// buffer can be read while a process writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestLockIsReleasedWhenTheScriptIsTerminated(t *testing.T) {
	underEachShell(t, func(n *node) {
		cmd, stdout := n.ongoing("echo x")
		n.sh(`for p in /proc/[0-9]*; do [ ! -d /run/ssm-remediator/work.${p##*/} ] || kill -TERM ${p##*/}; done`)
		n.Expect(cmd.Wait()).To(MatchError("exit status 1"))
		n.Expect(n.sh("cat " + lockFolder + "/*")).To(Equal("released"))
		report, err := ReadReport(stdout.String(), testUID+"/Run")
		n.Expect(err).NotTo(HaveOccurred())
		n.Expect(report.Acted).To(BeTrue())
		n.Expect(report.Result).To(BeEmpty())
	})
}

// TestAgentKillsTheScript kills the process group, as the agent does at its time-out.
func TestAgentKillsTheScript(t *testing.T) {
	underEachShell(t, func(n *node) {
		cmd, stdout := n.ongoing(n.program("webserver") + " 1000 & echo x")
		n.eventually(func() bool { return len(n.pids("webserver")) == 1 }, "the daemon")
		n.Expect(killGroup(cmd)).To(Succeed())
		n.Expect(cmd.Wait()).NotTo(Succeed())
		n.Expect(n.pids("webserver")).To(HaveLen(1), "what the step started survives the kill")
		// It can go on writing: the drainer has survived too.
		n.Expect(n.sh("echo more >/proc/" + n.pids("webserver")[0] + "/fd/1 && echo written")).To(Equal("written"))
		report, err := ReadReport(stdout.String(), testUID+"/Run")
		n.Expect(err).NotTo(HaveOccurred())
		n.Expect(report.Acted).To(BeTrue())
		n.Expect(report.Result).To(BeEmpty())
		n.Expect(report.ExitCode).To(HaveValue(BeEquivalentTo(0)))

		// The lock stays until it expires, because a step may still be running.
		other := recovery(byName("other"), "touch /run/acted")
		other.UID = "other-uid"
		withheld, _ := n.recover(other)
		n.Expect(withheld.Reason).To(Equal(ReasonOtherRecovery))
		n.Expect(withheld.Message).To(ContainSubstring(testUID))
		n.Expect(n.exists("/run/acted")).To(BeFalse())
	})
}

func TestAgentKillsTheScriptWithinTheStep(t *testing.T) {
	underEachShell(t, func(n *node) {
		script, err := RecoveryScript(recovery(byName("webserver"), "touch /run/begun; sleep 4711"))
		n.Expect(err).NotTo(HaveOccurred())
		cmd, _ := n.command(script)
		stdout := &buffer{}
		cmd.Stdout = stdout
		n.Expect(cmd.Start()).To(Succeed())
		n.eventually(func() bool { return n.exists("/run/begun") }, "the step to begin")
		n.Expect(killGroup(cmd)).To(Succeed())
		n.Expect(cmd.Wait()).NotTo(Succeed())
		report, err := ReadReport(stdout.String(), testUID+"/Run")
		n.Expect(err).NotTo(HaveOccurred())
		n.Expect(phases(report)).To(Equal(allPhases[:3]))
		n.Expect(report.Acted).To(BeTrue())
		n.Expect(report.Result).To(BeEmpty())
		n.Expect(report.ExitCode).To(BeNil())
	})
}
