// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const (
	orchestration = "/var/lib/amazon/ssm/i-0a1b2c3d4e5f67890/document/orchestration"
	remembered    = "/var/lib/ssm-remediator/commands"
)

func epoch(t time.Time) string {
	return strconv.FormatInt(t.Unix(), 10)
}

func (n *node) entries(path string) []string {
	n.t.Helper()
	entries, err := filepath.Glob(filepath.Join(n.Path(path), "*"))
	n.Expect(err).NotTo(HaveOccurred())
	return entries
}

// TestSweepOverFourteenDays probes once a minute for a quarter of an hour on each day.
func TestSweepOverFourteenDays(t *testing.T) {
	underEachShell(t, func(n *node) {
		// Commands of others, among them a recovery of ours, are there from the start, and stay.
		foreign := "0badcafe-0000-4000-8000-000000000001"
		n.write(orchestration+"/"+foreign+"/awsrunShellScript/stdout", "x")
		report, recovered := n.recover(recovery(byName("webserver"), "true"))
		n.Expect(report.Acted).To(BeTrue())
		n.standIn("date", "cat /run/now")
		start, most := time.Now(), 0
		for day := range 14 {
			for minute := range 15 {
				n.write("/run/now", epoch(start.AddDate(0, 0, day).Add(time.Duration(minute)*time.Minute)))
				n.probe(byName("webserver"))
				most = max(most, len(n.entries(orchestration)))
			}
		}
		n.Expect(most).To(BeNumerically("<=", 2+12))
		n.Expect(n.entries(remembered)).To(HaveLen(most - 2))
		n.Expect(n.exists(orchestration + "/" + foreign)).To(BeTrue())
		n.Expect(n.exists(recovered.directory)).To(BeTrue())
	})
}

func TestSweepIsBounded(t *testing.T) {
	underEachShell(t, func(n *node) {
		old := epoch(time.Now().Add(-time.Hour))
		for i := range 120 {
			id := fmt.Sprintf("0badcafe-0000-4000-8000-%012x", i)
			n.write(orchestration+"/"+id+"/f", "")
			n.write(remembered+"/"+old+"."+id, "")
		}
		for _, left := range []int{70, 20, 0} {
			n.probe(byName("webserver"))
			ours, err := filepath.Glob(n.Path(orchestration + "/0badcafe-*"))
			n.Expect(err).NotTo(HaveOccurred())
			n.Expect(ours).To(HaveLen(left))
		}
	})
}

func TestSweepRemovesNothingElse(t *testing.T) {
	underEachShell(t, func(n *node) {
		old := epoch(time.Now().Add(-time.Hour))
		young := epoch(time.Now().Add(-5 * time.Minute))
		kept := "0badcafe-0000-4000-8000-000000000001"
		n.write(orchestration+"/"+kept+"/f", "")
		n.write(remembered+"/"+young+"."+kept, "")
		n.write(orchestration+"/plain/f", "")
		for _, name := range []string{
			old + ".plain", old + ".", old + "...", old + ".." + kept[2:], "x." + kept, "." + kept, old, old + "." + kept + "0",
			old + ".????????-????-????-????-????????????", old + ". ", "-rf",
		} {
			n.write(remembered+"/"+name, "")
		}
		n.probe(byName("webserver"))
		n.Expect(n.exists(orchestration + "/" + kept)).To(BeTrue())
		n.Expect(n.exists(orchestration + "/plain/f")).To(BeTrue())
		n.Expect(n.exists("/var/lib/amazon/ssm/i-0a1b2c3d4e5f67890/document")).To(BeTrue())
	})
}

// TestSweepOutsideOfTheAgent runs the script from a place that is none of the agent's.
func TestSweepOutsideOfTheAgent(t *testing.T) {
	underEachShell(t, func(n *node) {
		script, err := ProbeScript(byName("webserver"), testBinding)
		n.Expect(err).NotTo(HaveOccurred())
		n.write("/run/probe.sh", script)
		n.Expect(n.sh("sh /run/probe.sh || true")).To(HavePrefix(protocol))
		n.Expect(n.sh("cd /run; sh probe.sh || true")).To(HavePrefix(protocol))
		cmd := n.Command("sh", "-c", script)
		cmd.Env = append(cmd.Env, "SSM_COMMAND_ID=0badcafe-0000-4000-8000-000000000001")
		out, _ := cmd.Output()
		n.Expect(string(out)).To(HavePrefix(protocol))
		n.Expect(n.exists("/var/lib/ssm-remediator")).To(BeFalse())
	})
}

func TestSweepCannotFailTheProbe(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.write("/var/lib/ssm-remediator", "a file where a directory should be")
		n.probe(byName("webserver"))
	})
}

func TestSweepOfMarkersAndScratch(t *testing.T) {
	underEachShell(t, func(n *node) {
		for name, days := range map[string]int{"old": 62, "young": 58} {
			path := "/var/lib/ssm-remediator/ran/" + name
			n.write(path+"/begun", "")
			at := time.Now().AddDate(0, 0, -days)
			n.Expect(os.Chtimes(n.Path(path), at, at)).To(Succeed())
		}
		n.write("/run/ssm-remediator/work.4000000/0/kept", "of a script that was killed")
		n.write("/run/ssm-remediator/work.1/0/kept", "of one that runs")
		n.probe(byName("webserver"))
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/old")).To(BeFalse())
		n.Expect(n.exists("/var/lib/ssm-remediator/ran/young")).To(BeTrue())
		n.Expect(n.exists("/run/ssm-remediator/work.4000000")).To(BeFalse())
		n.Expect(n.exists("/run/ssm-remediator/work.1")).To(BeTrue())
	})
}
