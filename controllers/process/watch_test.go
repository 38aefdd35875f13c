// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// aMinute of watching is more than these tests take, with the process down for two looks in a row.
var aMinute = Watch{Duration: time.Minute, Threshold: 2}

// setting gives a parameter of a script another value.
func setting(script, name, value string) string {
	return regexp.MustCompile(`(?m)^`+name+`='.*'$`).ReplaceAllString(script, name+"='"+value+"'")
}

// watchScript is a watch that looks five times a second.
func (n *node) watchScript(c Check, w Watch) string {
	n.t.Helper()
	script, err := WatchScript(c, w, testBinding)
	n.Expect(err).NotTo(HaveOccurred())
	return setting(script, "SR_EVERY", "0.2")
}

// watch runs a watch to its end, and reads its verdict.
func (n *node) watch(c Check, w Watch) Verdict {
	n.t.Helper()
	return n.verdict(n.watchScript(c, w))
}

// byLooks is a check that counts in /run/looks how often it is taken, and does what the case of that number says.
func byLooks(cases string) Check {
	return byCommand(`n=$(($(cat /run/looks 2>/dev/null || echo 0) + 1))
echo $n >/run/looks
case $n in
` + cases + `
esac
exit 0`)
}

// looks is how often that check was taken; it starts anew after.
func (n *node) looks() int {
	n.t.Helper()
	count, err := strconv.Atoi(n.sh("cat /run/looks; rm /run/looks"))
	n.Expect(err).NotTo(HaveOccurred())
	return count
}

// leavesNothing expects that nothing of a watch is left on the node, but a claim that was given back.
func (n *node) leavesNothing() {
	n.t.Helper()
	n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host\nwatch"))
	n.Expect(n.sh("cat /run/ssm-remediator/watch/*")).To(Equal("released"))
	n.eventually(func() bool { return len(n.pids("sleep")) == 0 }, "the processes of the watch to end")
}

func TestWatchOfAHealthyProcess(t *testing.T) {
	underEachShell(t, func(n *node) {
		script := n.watchScript(byLooks(""), Watch{Duration: 2 * time.Second, Threshold: 2})
		a := n.run(script)
		v, err := ReadVerdict(a.stdout, testBinding)
		n.Expect(err).NotTo(HaveOccurred(), a.stderr)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(v.Reason).To(Equal(ReasonCheckPassed))
		n.Expect(v.Busy).To(BeFalse())
		n.Expect(v.Failures).To(BeZero())
		n.Expect(a.exit).To(BeZero())
		n.Expect(a.stderr).To(BeEmpty())
		n.Expect(strings.Count(a.stdout, "\n")).To(Equal(1))
		// Times are whole seconds.
		n.Expect(a.took).To(BeNumerically(">", time.Second))
		n.Expect(a.took).To(BeNumerically("<", within))
		n.Expect(n.looks()).To(BeNumerically(">", 1))
		n.leavesNothing()
	})
}

func TestWatchEndsAtOnceWhenItIsNotHealthy(t *testing.T) {
	tests := map[string]struct {
		check  Check
		before string
		health v1alpha1.Health
		reason string
		failed int32
	}{
		"down":        {byName("webserver"), "true", v1alpha1.HealthUnhealthy, ReasonProcessNotRunning, 1},
		"check fails": {byCommand("false"), "true", v1alpha1.HealthUnhealthy, ReasonCheckFailed, 1},
		"held":        {byCommand("true"), "touch " + holdFile, v1alpha1.HealthHeld, ReasonHoldFile, 0},
		"unknown":     {byCommand("no-such-command"), "true", v1alpha1.HealthUnknown, ReasonCheckNotRunnable, 0},
		"container":   {byCommand("true"), "rm /run/ssm-remediator/host", v1alpha1.HealthUnknown, ReasonAgentInContainer, 0},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.sh("rm -f " + holdFile + "; : >/run/ssm-remediator/host; " + test.before)
			v := n.watch(test.check, aMinute)
			n.Expect(v.Health).To(Equal(test.health), name)
			n.Expect(v.Reason).To(Equal(test.reason), name)
			n.Expect(v.Failures).To(Equal(test.failed), name)
			n.Expect(n.exists("/run/ssm-remediator/watch")).To(BeFalse(), "%s: nothing is claimed for one look", name)
		}
	})
}

// TestWatchSeesAProcessDie kills what it watches, in each of the ways in which a process is named.
func TestWatchSeesAProcessDie(t *testing.T) {
	tests := map[string]struct {
		check  Check
		reason string
	}{
		"name":     {byName("webserver"), ReasonProcessNotRunning},
		"pid file": {check(v1alpha1.ProcessSpec{PIDFile: "/run/webserver.pid"}), ReasonProcessNotRunning},
		"command":  {byCommand("kill -0 $(cat /run/webserver.pid)"), ReasonCheckFailed},
		"unit":     {check(v1alpha1.ProcessSpec{SystemdUnit: "webserver.service"}), ReasonUnitFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				n.start("webserver", n.program("webserver"), "1000")
				n.write("/run/webserver.pid", n.pids("webserver")[0])
				n.standIn("systemctl", `echo LoadState=loaded
if kill -0 $(cat /run/webserver.pid) 2>/dev/null; then echo ActiveState=active; else echo ActiveState=failed; fi`)
				cmd, read := n.watching(n.watchScript(test.check, aMinute))
				n.sh("kill -KILL $(cat /run/webserver.pid)")
				n.Expect(cmd.Wait()).To(MatchError("exit status 1"))
				v := read()
				n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
				n.Expect(v.Reason).To(Equal(test.reason))
				n.Expect(v.Failures).To(BeEquivalentTo(2))
				n.leavesNothing()
			})
		})
	}
}

// watching starts a watch and returns when it has taken its place on the node.
func (n *node) watching(script string) (cmd *exec.Cmd, read func() Verdict) {
	n.t.Helper()
	cmd, directory := n.command(script)
	stdout := &buffer{}
	cmd.Stdout = stdout
	n.Expect(cmd.Start()).To(Succeed())
	n.eventually(func() bool {
		out, _ := n.Command("sh", "-c", "cat /run/ssm-remediator/watch/*").Output()
		return strings.HasSuffix(string(out), " "+filepath.Base(directory)+"\n")
	}, "the watch to take its place")
	return cmd, func() Verdict {
		n.t.Helper()
		v, err := ReadVerdict(stdout.String(), testBinding)
		n.Expect(err).NotTo(HaveOccurred(), stdout.String())
		n.Expect(strings.Count(stdout.String(), "\n")).To(Equal(1))
		return v
	}
}

func TestWatchCountsLooksInARow(t *testing.T) {
	tests := map[string]struct {
		cases     string
		threshold int32
		looks     int
		health    v1alpha1.Health
		reason    string
		failures  int32
	}{
		"one is enough":   {"2) exit 1 ;;", 1, 2, v1alpha1.HealthUnhealthy, ReasonCheckFailed, 1},
		"a blip":          {"2|4|5|7|8|9) exit 1 ;;", 3, 9, v1alpha1.HealthUnhealthy, ReasonCheckFailed, 3},
		"of several ways": {"2) exit 1 ;; 3) sleep 4711 ;;", 2, 3, v1alpha1.HealthUnhealthy, ReasonCheckTimedOut, 2},
		"held":            {"2) touch " + holdFile + " ;;", 3, 2, v1alpha1.HealthHeld, ReasonHoldFile, 0},
		"held when down":  {"2) exit 1 ;; 3) touch " + holdFile + "; exit 1 ;;", 3, 3, v1alpha1.HealthHeld, ReasonHoldFile, 0},
		"unknown":         {"2) exit 126 ;;", 3, 2, v1alpha1.HealthUnknown, ReasonCheckNotRunnable, 0},
		"unknown, down":   {"2) exit 1 ;; 3) exit 127 ;;", 3, 3, v1alpha1.HealthUnknown, ReasonCheckNotRunnable, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				v := n.watch(byLooks(test.cases), Watch{Duration: time.Minute, Threshold: test.threshold})
				n.Expect(v.Health).To(Equal(test.health), v.Message)
				n.Expect(v.Reason).To(Equal(test.reason), v.Message)
				n.Expect(v.Failures).To(Equal(test.failures))
				n.Expect(n.looks()).To(Equal(test.looks))
				n.sh("rm -f " + holdFile)
				n.leavesNothing()
			})
		})
	}
}

// TestWatchIsOverWhileTheProcessIsDown has what was found until then.
func TestWatchIsOverWhileTheProcessIsDown(t *testing.T) {
	underEachShell(t, func(n *node) {
		v := n.watch(byLooks("1) ;; *) exit 1 ;;"), Watch{Duration: 2 * time.Second, Threshold: 100})
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Failures).To(BeNumerically("~", n.looks()-1, 0))
	})
}

// TestWatchHonoursTheNodeAtEachLook has what comes up around the process while it is watched.
func TestWatchHonoursTheNodeAtEachLook(t *testing.T) {
	const full = `echo Filesystem; [ -e /run/full ] && echo d 1000000 990000 10000 99% / || echo d 1000000 500000 500000 50% /`
	const masked = `n=$(($(cat /run/looks 2>/dev/null || echo 0) + 1)); echo $n >/run/looks
[ $n -lt 3 ] && echo LoadState=loaded || echo LoadState=masked; echo ActiveState=active`
	booting := byLooks("2) exit 1 ;;")
	booting.StartupGrace = 10 * 365 * 24 * time.Hour
	tests := map[string]struct {
		check  Check
		health v1alpha1.Health
		reason string
	}{
		"a disk that fills up":     {byLooks("2) touch /run/full ;;"), v1alpha1.HealthUnknown, ReasonNodeDiskFull},
		"a unit that is masked":    {check(v1alpha1.ProcessSpec{SystemdUnit: "x.service"}), v1alpha1.HealthHeld, ReasonUnitMasked},
		"a node that has booted":   {booting, v1alpha1.HealthHeld, ReasonNodeBooting},
		"another policy is held":   {byLooks("2) touch " + holdFile + ".web.other ;; 3) exit 1 ;;"), v1alpha1.HealthUnhealthy, ReasonCheckFailed},
		"this policy is held":      {byLooks("2) touch " + holdFile + ".web.httpd ;;"), v1alpha1.HealthHeld, ReasonHoldFile},
		"a container from outside": {byLooks("2) rm /run/ssm-remediator/host ;;"), v1alpha1.HealthUnknown, ReasonAgentInContainer},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				n.standIn("df", full)
				n.standIn("systemctl", masked)
				v := n.watch(test.check, Watch{Duration: time.Minute, Threshold: 1})
				n.Expect(v.Health).To(Equal(test.health), v.Message)
				n.Expect(v.Reason).To(Equal(test.reason), v.Message)
			})
		})
	}
}

func TestWatchMustNotBeSent(t *testing.T) {
	for name, test := range map[string]struct {
		check   Check
		watch   Watch
		binding string
		message string
	}{
		"no duration":      {byName("webserver"), Watch{Threshold: 1}, testBinding, "reading the watch"},
		"a long duration":  {byName("webserver"), Watch{Duration: maxWatch + 1, Threshold: 1}, testBinding, "reading the watch"},
		"no threshold":     {byName("webserver"), Watch{Duration: time.Minute}, testBinding, "reading the watch"},
		"a high threshold": {byName("webserver"), Watch{Duration: time.Minute, Threshold: 101}, testBinding, "reading the watch"},
		"no process":       {check(v1alpha1.ProcessSpec{}), aMinute, testBinding, "named in 0 ways"},
		"no binding":       {byName("webserver"), aMinute, "", "reading binding"},
		"braces":           {byCommand("echo {{x}}"), aMinute, testBinding, "'{{'"},
	} {
		g := NewWithT(t)
		script, err := WatchScript(test.check, test.watch, test.binding)
		g.Expect(err).To(MatchError(ContainSubstring(test.message)), name)
		g.Expect(script).To(BeEmpty(), name)
	}
}

func TestWatchTimeout(t *testing.T) {
	g := NewWithT(t)
	c := byName("webserver")
	w := Watch{Duration: 90500 * time.Millisecond, Threshold: 3}
	const bound = 5 + 8
	g.Expect(WatchTimeout(c, w)).To(Equal((91 + 1 + bound + 60 + 1 + bound + 10) * time.Second))
	script, err := WatchScript(c, w, testBinding)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(script).To(HavePrefix("# ssm-remediator watch\nSR_BINDING='probe/0a1b2c'\nSR_WATCH='91'\nSR_THRESHOLD='3'\n" +
		"SR_EVERY='1'\nSR_PATIENCE='60'\nSR_BOUND='189'\n"))
}
