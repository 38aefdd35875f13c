// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const placeFolder = "/run/ssm-remediator/watch"

// end ends a watch as an agent does that is told to cancel it.
func (n *node) end(kill func() error, wait func() error) {
	n.t.Helper()
	n.Expect(kill()).To(Succeed())
	n.Expect(wait()).NotTo(Succeed())
}

// TestSecondWatchLooksOnce is that of another policy.
func TestSecondWatchLooksOnce(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		cmd, _ := n.watching(n.watchScript(byName("webserver"), aMinute))
		other := byCommand("true")
		other.Policy = "other"
		v := n.watch(other, aMinute)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(v.Busy).To(BeTrue())
		other = byCommand("false")
		v = n.watch(other, aMinute)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Failures).To(BeEquivalentTo(1))
		n.Expect(n.probe(byName("webserver")).Busy).To(BeFalse(), "a probe asks for no place")
		n.end(func() error { return killGroup(cmd) }, cmd.Wait)
	})
}

func TestOneOfManyWatchesStays(t *testing.T) {
	tests := map[string]string{
		"never taken":        "",
		"given back":         "released",
		"of an earlier boot": "11111111-0000-4000-8000-000000000000 1 $(cut -d' ' -f22 /proc/1/stat) x",
	}
	for name, claim := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				if claim != "" {
					n.sh(fmt.Sprintf(`mkdir -p %[1]s && echo "%[2]s" >%[1]s/9 && echo released >%[1]s/4`, placeFolder, claim))
				}
				var wait sync.WaitGroup
				var verdicts [6]Verdict
				var errs [6]error
				for i := range verdicts {
					// The one that stays does so for longer than the others need to look.
					cmd, _ := n.command(n.watchScript(byCommand("true"), Watch{Duration: 6 * time.Second, Threshold: 2}))
					wait.Go(func() {
						out, _ := cmd.Output()
						verdicts[i], errs[i] = ReadVerdict(string(out), testBinding)
					})
				}
				wait.Wait()
				n.Expect(errs).To(HaveEach(BeNil()))
				busy := 0
				for _, v := range verdicts {
					n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy))
					if v.Busy {
						busy++
					}
				}
				n.Expect(busy).To(Equal(5))
				n.leavesNothing()
			})
		})
	}
}

// TestPlaceOfAWatchThatIsGone is free, however that one went.
func TestPlaceOfAWatchThatIsGone(t *testing.T) {
	tests := map[string]string{
		"of an earlier boot":         "11111111-0000-4000-8000-000000000000 1 $(cut -d' ' -f22 /proc/1/stat) x",
		"of another process":         "$(cat /proc/sys/kernel/random/boot_id) 1 1 x",
		"of no process":              "$(cat /proc/sys/kernel/random/boot_id) 4000000 1 x",
		"of something hostile":       "$(cat /proc/sys/kernel/random/boot_id) ../1 1 x",
		"without a process":          "$(cat /proc/sys/kernel/random/boot_id)",
		"empty":                      "",
		"of a process that is ended": "$(cat /proc/sys/kernel/random/boot_id) $(cat /run/zombie) x",
	}
	underEachShell(t, func(n *node) {
		zombie := n.Command("sh", "-c", `sh -c 'echo $$ $(cut -d" " -f22 /proc/$$/stat) >/run/zombie' & exec sleep 4711`)
		n.Expect(zombie.Start()).To(Succeed())
		n.eventually(func() bool { return n.exists("/run/zombie") && n.sh("cat /run/zombie") != "" }, "the zombie")
		for name, claim := range tests {
			n.sh(fmt.Sprintf(`mkdir -p %[1]s && rm -f %[1]s/* && echo "%[2]s" >%[1]s/7`, placeFolder, claim))
			v := n.watch(byLooks("2) exit 1 ;;"), Watch{Duration: time.Minute, Threshold: 1})
			n.Expect(v.Failures).To(BeEquivalentTo(1), name)
			n.Expect(n.looks()).To(Equal(2), "%s: it has stayed", name)
			n.Expect(n.sh("cat " + placeFolder + "/*")).To(Equal("released"))
			n.Expect(n.exists(placeFolder+"/8")).To(BeTrue(), name)
		}
		n.end(func() error { return killGroup(zombie) }, zombie.Wait)
	})
}

// TestPlaceOfAProcessThatLives is taken.
func TestPlaceOfAProcessThatLives(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh(fmt.Sprintf(`mkdir -p %[1]s && echo "$(cat /proc/sys/kernel/random/boot_id) 1 $(cut -d' ' -f22 /proc/1/stat) x" >%[1]s/7`, placeFolder))
		n.Expect(n.watch(byCommand("true"), aMinute).Busy).To(BeTrue())
	})
}

func TestPlaceThatCannotBeWritten(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		n.write(placeFolder, "a file where a directory should be")
		v := n.watch(byName("webserver"), aMinute)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(v.Busy).To(BeTrue())
	})
}

// TestWatchThatIsKilled is one that the agent ends, at its time-out or because it was cancelled.
func TestWatchThatIsKilled(t *testing.T) {
	underEachShell(t, func(n *node) {
		script := n.watchScript(byCommand("true"), aMinute)
		cmd, _ := n.command(script)
		stdout := &buffer{}
		cmd.Stdout = stdout
		n.Expect(cmd.Start()).To(Succeed())
		n.eventually(func() bool { return len(n.entries(placeFolder)) > 0 }, "the watch")
		n.end(func() error { return killGroup(cmd) }, cmd.Wait)
		_, err := ReadVerdict(stdout.String(), testBinding)
		n.Expect(err).To(MatchError(ErrNoVerdict))

		v := n.watch(byLooks("2) exit 1 ;;"), Watch{Duration: time.Minute, Threshold: 1})
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(n.looks()).To(Equal(2), "the next one has the place")
		n.eventually(func() bool {
			n.probe(byCommand("true"))
			return n.sh("ls /run/ssm-remediator") == "host\nwatch"
		}, "what it left behind to be swept up")
	})
}

func TestWatchEndsOnSignals(t *testing.T) {
	// A shell cannot trap a signal that is ignored where it was started, as SIGHUP is below nohup. One that this process listens to is not.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	for _, name := range []string{"TERM", "HUP", "INT"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				cmd, _ := n.command(n.watchScript(byCommand("true"), aMinute))
				stdout := &buffer{}
				cmd.Stdout = stdout
				n.Expect(cmd.Start()).To(Succeed())
				n.eventually(func() bool { return len(n.entries(placeFolder)) > 0 }, "the watch")
				n.sh("kill -" + name + " $(cut -d' ' -f2 " + placeFolder + "/1)")
				n.Expect(cmd.Wait()).To(MatchError("exit status 1"))
				n.Expect(stdout.String()).To(BeEmpty(), "nobody knows")
				n.leavesNothing()
			})
		})
	}
}

// TestWatchOnAClockThatJumps is as long as it is to be, and keeps the directory of its command.
func TestWatchOnAClockThatJumps(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.standIn("date", "cat /run/now")
		n.write("/run/now", epoch(time.Unix(1000, 0)))
		jumps := "2) echo 1900000000 >/run/now ;; 3) echo 5 >/run/now ;; *) [ ! -e /run/down ] || exit 1 ;;"
		cmd, read := n.watching(n.watchScript(byLooks(jumps), aMinute))
		ours := n.entries(orchestration)
		n.Expect(ours).To(HaveLen(1))
		n.eventually(func() bool { return n.sh("cat /run/now") == "5" }, "the clock to be set back")
		for _, now := range []string{"1900000000", "5", "1900000000"} {
			n.write("/run/now", now)
			n.probe(byName("webserver"))
			n.Expect(n.entries(orchestration)).To(ContainElement(ours[0]), "no probe sweeps it away")
		}
		n.write("/run/down", "")
		n.Expect(cmd.Wait()).To(MatchError("exit status 1"))
		n.Expect(read().Failures).To(BeEquivalentTo(2))
		n.probe(byName("webserver"))
		n.Expect(n.entries(orchestration)).NotTo(ContainElement(ours[0]), "until it has ended")
	})
}
