// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// lockNode and freeNode are commands by which a recovery takes the node's lock and gives it back.
const (
	lockNode = "mkdir -p " + lockFolder + "; echo $(cat /proc/sys/kernel/random/boot_id) 999999999 x >" + lockFolder + "/8"
	freeNode = "mkdir -p " + lockFolder + "; echo released >" + lockFolder + "/8"
)

// TestWatchLetsARecoveryWork does not count what a recovery may have done.
func TestWatchLetsARecoveryWork(t *testing.T) {
	tests := map[string]struct {
		cases     string
		threshold int32
		looks     int
		reason    string
		failures  int32
	}{
		"while it works": {
			"2) " + lockNode + "; exit 1 ;; 3|4) exit 1 ;; 5) " + freeNode + " ;; 8) exit 1 ;;", 1, 8, ReasonCheckFailed, 1,
		},
		"that ends within a look": {
			"2) " + lockNode + " ;; 3) " + freeNode + "; exit 1 ;; 6) exit 1 ;;", 1, 6, ReasonCheckFailed, 1,
		},
		"that begins and ends within a look": {"2) " + freeNode + "; exit 1 ;; 5) exit 1 ;;", 1, 5, ReasonCheckFailed, 1},
		"that does not help": {
			"2) " + lockNode + "; exit 1 ;; 3) exit 1 ;; 4) " + freeNode + "; exit 1 ;; 5|6) exit 1 ;;", 2, 6, ReasonCheckFailed, 2,
		},
		"that begins when it is down already": {
			"2|3) exit 1 ;; 4) " + lockNode + "; exit 1 ;; 5) " + freeNode + "; exit 1 ;; 6|7|8) exit 1 ;;", 3, 8, ReasonCheckFailed, 3,
		},
		"whatever it does":          {"2) " + lockNode + "; exit 127 ;; 3) " + freeNode + " ;; 4) exit 127 ;;", 1, 4, ReasonCheckNotRunnable, 0},
		"whose lock is from before": {"2) mkdir -p " + lockFolder + "; echo x 999999999 x >" + lockFolder + "/8 ;; 3) exit 1 ;;", 1, 3, ReasonCheckFailed, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				v := n.watch(byLooks(test.cases), Watch{Duration: time.Minute, Threshold: test.threshold})
				n.Expect(v.Reason).To(Equal(test.reason), v.Message)
				n.Expect(v.Failures).To(Equal(test.failures))
				n.Expect(n.looks()).To(Equal(test.looks))
			})
		})
	}
}

// TestWatchLosesPatience with a lock that stays, so that what is down does not stay hidden.
func TestWatchLosesPatience(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh(lockNode)
		script := n.watchScript(byLooks("1|2) ;; *) exit 1 ;;"), Watch{Duration: time.Minute, Threshold: 3})
		v := n.verdict(setting(script, "SR_PATIENCE", "2"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Failures).To(BeEquivalentTo(3))
		n.Expect(n.looks()).To(BeNumerically(">", 5), "some did not count")
	})
}

// TestWatchIsOverWhileARecoveryWorks is then waited for, and no longer.
func TestWatchIsOverWhileARecoveryWorks(t *testing.T) {
	underEachShell(t, func(n *node) {
		// It comes up again only when the time is over.
		script := n.watchScript(byLooks("1) ;; 2) "+lockNode+`; cut -d. -f1 /proc/uptime >/run/since; exit 1 ;;
*) [ $(($(cut -d. -f1 /proc/uptime) - $(cat /run/since))) -ge 3 ] || exit 1 ;;`),
			Watch{Duration: time.Second, Threshold: 1})
		n.Expect(n.verdict(script).Health).To(Equal(v1alpha1.HealthHealthy))
		n.sh("rm /run/looks")

		script = n.watchScript(byLooks("1) ;; *) exit 1 ;;"), Watch{Duration: time.Second, Threshold: 100})
		v := n.verdict(setting(script, "SR_PATIENCE", "2"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Failures).To(BeEquivalentTo(1))
	})
}

// TestRecoveryWhileAWatchLooks restarts what is watched by another policy.
func TestRecoveryWhileAWatchLooks(t *testing.T) {
	underEachShell(t, func(n *node) {
		webserver := n.program("webserver")
		n.start("webserver", webserver, "1000")
		cmd, read := n.watching(n.watchScript(byName("webserver"), Watch{Duration: time.Minute, Threshold: 1}))
		r := recovery(byName("other"), "kill "+n.pids("webserver")[0]+"; sleep 2; "+webserver+" 1000 &")
		report, _ := n.recover(r)
		n.Expect(report.Acted).To(BeTrue(), "%s: the watch does not keep it from running", report.Message)
		n.Expect(strings.TrimSpace(report.Output)).To(BeEmpty())
		n.eventually(func() bool { return len(n.pids("webserver")) == 1 }, "the process to run again")
		n.sh("kill -KILL " + n.pids("webserver")[0])
		n.Expect(cmd.Wait()).To(MatchError("exit status 1"))
		v := read()
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.NodeTime).NotTo(BeTemporally("<", report.Phases[len(report.Phases)-1].Time), "the restart was no failure")
	})
}
