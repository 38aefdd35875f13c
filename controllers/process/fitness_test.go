// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestVerdictTellsTheNodesClocks(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.standIn("date", `case $1 in +%s) echo 1700000000 ;; *) exit 1 ;; esac`)
		v := n.probe(byName("webserver"))
		n.Expect(v.NodeTime.Unix()).To(Equal(int64(1700000000)))
		n.Expect(v.BootID).To(Equal(n.sh("cat /proc/sys/kernel/random/boot_id")))
		n.Expect(v.Uptime.Seconds()).To(BeNumerically(">", 1))
	})
}

func TestAgentInContainer(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		n.sh("rm /run/ssm-remediator/host")
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown), "although it would find the process")
		n.Expect(v.Reason).To(Equal(ReasonAgentInContainer))
		n.Expect(v.Message).To(ContainSubstring("pid namespace of its own"))

		report, _ := n.recover(recovery(byName("other"), "touch /run/acted"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(report.Reason).To(Equal(ReasonAgentInContainer))
		n.Expect(n.exists("/run/acted")).To(BeFalse())

		n.sh("mount -t tmpfs tmpfs /etc && mkdir /etc/ssm-remediator && : >/etc/ssm-remediator/host")
		n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthHealthy), "declared to be the machine")
	})
}

// TestAgentWithTheHostsProcessesInAContainer has a container that shares the pid namespace of the host, which the number
// of the initial one stands for.
func TestAgentWithTheHostsProcessesInAContainer(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh("rm /run/ssm-remediator/host")
		n.standIn("readlink", "echo 'pid:[4026531836]'")
		v := n.probe(byName("webserver"))
		// The tests themselves may run in a container.
		if _, err := os.Stat("/.dockerenv"); err != nil {
			n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy), v.Message)
		}
		n.write("/run/.containerenv", "")
		v = n.probe(byName("webserver"))
		n.Expect(v.Reason).To(Equal(ReasonAgentInContainer))
		n.Expect(v.Message).To(ContainSubstring("there is /"))

		n.sh(`rm /run/.containerenv; mkdir /run/upper /run/work /run/root
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay /run/root
rm -f /run/root/.dockerenv
for d in /proc /dev /var/lib; do mount --bind $d /run/root$d; done`)
		v = n.probe(byName("webserver"), "chroot", "/run/root")
		n.Expect(v.Reason).To(Equal(ReasonAgentInContainer))
		n.Expect(v.Message).To(ContainSubstring("its root directory is not that of the host"))
	})
}

func TestNodeDiskFull(t *testing.T) {
	const header = "echo Filesystem 1024-blocks Used Available Capacity Mounted on\n"
	tests := map[string]struct {
		blocks, inodes string
		reason         string
		message        string
	}{
		"room": {"/dev/a b 1000000 500000 500000 50% /", "/dev/a b 100000 50000 50000 50% /", ReasonProcessNotRunning, ""},
		"no space": {
			"/dev/a b 1000000 990000 10000 99% /", "/dev/a b 100000 50000 50000 50% /",
			ReasonNodeDiskFull, "less than 16 MiB left",
		},
		"no inodes": {
			"/dev/a b 1000000 500000 500000 50% /", "/dev/a b 100000 99001 999 100% /",
			ReasonNodeDiskFull, "less than 1000 inodes left",
		},
		"inodes on demand": {"d 1000000 500000 500000 50% /", "d 0 0 0 - /", ReasonProcessNotRunning, ""},
		"inodes of 0":      {"d 1000000 500000 500000 50% /", "d 0 0 0 0% /", ReasonProcessNotRunning, ""},
		"one percent of a large disk": {
			"d 9000000000 8910000000 90000000 99% /", "d 90000 80000 10000 89% /", ReasonProcessNotRunning, "",
		},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.standIn("df", header+`case $2 in -k) echo "`+test.blocks+`" ;; -i) echo "`+test.inodes+`" ;; esac`)
			v := n.probe(byName("webserver"))
			n.Expect(v.Reason).To(Equal(test.reason), name)
			n.Expect(v.Message).To(ContainSubstring(test.message), name)
		}
	})
}

func TestNodeDiskIsReallyFull(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh("mount -t tmpfs -o size=20m,nr_inodes=5000 tmpfs /var/lib")
		n.Expect(n.probe(byName("webserver")).Reason).To(Equal(ReasonProcessNotRunning))
		n.sh("head -c 8000000 /dev/zero >/var/lib/fill")
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
		n.Expect(v.Reason).To(Equal(ReasonNodeDiskFull))
		n.sh("rm /var/lib/fill; mkdir /var/lib/many; cd /var/lib/many; i=0; while [ $i -lt 4500 ]; do : >$i; i=$((i + 1)); done")
		n.Expect(n.probe(byName("webserver")).Reason).To(Equal(ReasonNodeDiskFull))
	})
}

func TestMissingTools(t *testing.T) {
	n := startNode(t, shells()[0])
	for _, missing := range tools {
		v := n.probe(byName("webserver"), "env", "PATH="+n.bare(missing))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown), missing)
		n.Expect(v.Reason).To(Equal(ReasonMissingTool), missing)
		n.Expect(v.Message).To(ContainSubstring(" no "+missing+" "), missing)
		n.Expect(v.NodeTime.IsZero()).To(Equal(missing == "date"))
	}
	v := n.probe(byCommand("exit 5"), "env", "PATH="+n.bare(""))
	n.Expect(v.Reason).To(Equal(ReasonCheckFailed), "these tools are all: %s", v.Message)
}

func TestWithoutProc(t *testing.T) {
	underEachShell(t, func(n *node) {
		// Below the machine's lies that of the host, which shows other processes.
		n.sh("umount /proc")
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
		n.Expect(v.Reason).To(Equal(ReasonNotLinux))
		if n.shell == "busybox" {
			// It cannot even start its applets without /proc: no verdict, which is Unknown too.
			return
		}
		n.sh("mount -t tmpfs tmpfs /proc")
		v = n.probe(byName("webserver"))
		n.Expect(v.Reason).To(Equal(ReasonNotLinux))
		n.Expect(v.BootID).To(BeEmpty())
	})
}

func TestNodeThatHasJustBooted(t *testing.T) {
	underEachShell(t, func(n *node) {
		c := byName("webserver")
		c.StartupGrace = 10 * 365 * 24 * time.Hour
		v := n.probe(c)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHeld))
		n.Expect(v.Reason).To(Equal(ReasonNodeBooting))
		report, _ := n.recover(recovery(c, ": >/run/acted"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(report.Reason).To(Equal(ReasonNodeBooting))
		n.Expect(n.exists("/run/acted")).To(BeFalse())

		c = byCommand("true")
		c.StartupGrace = 10 * 365 * 24 * time.Hour
		n.Expect(n.probe(c).Health).To(Equal(v1alpha1.HealthHealthy), "what runs, runs")
		c = byName("webserver")
		c.StartupGrace = time.Second
		n.Expect(n.probe(c).Health).To(Equal(v1alpha1.HealthUnhealthy))
	})
}
