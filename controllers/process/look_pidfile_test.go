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

const pidFile = "/run/web server's.pid"

func byPIDFile() Check {
	return check(v1alpha1.ProcessSpec{PIDFile: pidFile})
}

func TestPIDFileOfARunningProcess(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		pid := n.pids("webserver")[0]
		for _, content := range []string{pid, pid + "\n", "  " + pid + "\r\n", "\n" + pid + "\nmore\n"} {
			n.write(pidFile, content)
			v := n.probe(byPIDFile())
			n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy), "%q: %s", content, v.Message)
		}
		// As postgresql, whose file begins with the id and goes on with more.
		n.write(pidFile, pid+"\n/var/lib/postgresql\n1700000000\n5432\n")
		n.Expect(n.probe(byPIDFile()).Reason).To(Equal(ReasonProcessRunning))
	})
}

func TestPIDFileThatNamesNoProcess(t *testing.T) {
	tests := map[string]struct {
		content string
		reason  string
	}{
		"empty":             {"", ReasonPIDFileInvalid},
		"blank":             {" \n\n", ReasonPIDFileInvalid},
		"words":             {"not a number", ReasonPIDFileInvalid},
		"zero":              {"0\n", ReasonPIDFileInvalid},
		"negative":          {"-1\n", ReasonPIDFileInvalid},
		"too long":          {"99999999999999999999\n", ReasonPIDFileInvalid},
		"a pattern":         {"*\n", ReasonPIDFileInvalid},
		"a path":            {"/run/x\n", ReasonPIDFileInvalid},
		"NUL":               {"\x00\x00\x00", ReasonPIDFileInvalid},
		"hostile":           {"$(touch /run/owned)`touch /run/owned`", ReasonPIDFileInvalid},
		"a process is gone": {"4000000\n", ReasonProcessNotRunning},
	}
	underEachShell(t, func(n *node) {
		v := n.probe(byPIDFile())
		n.Expect(v.Reason).To(Equal(ReasonPIDFileMissing))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Message).To(ContainSubstring(pidFile))
		for name, test := range tests {
			n.write(pidFile, test.content)
			v := n.probe(byPIDFile())
			n.Expect(v.Reason).To(Equal(test.reason), name)
			n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy), name)
		}
		n.Expect(n.exists("/run/owned")).To(BeFalse())
		n.sh("rm '/run/web server'\\''s.pid'; mkdir '/run/web server'\\''s.pid'")
		v = n.probe(byPIDFile())
		n.Expect(v.Reason).To(Equal(ReasonPIDFileUnreadable))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
	})
}

func TestPIDFileOfAnotherProcess(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		n.write(pidFile, n.pids("webserver")[0])
		hourAgo := time.Now().Add(-time.Hour)
		n.Expect(os.Chtimes(n.Path(pidFile), hourAgo, hourAgo)).To(Succeed())
		v := n.probe(byPIDFile())
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Reason).To(Equal(ReasonPIDReused))

		n.start("contained", "unshare", "--pid", "--fork", n.program("contained"), "1000")
		n.write(pidFile, n.pids("contained")[0])
		v = n.probe(byPIDFile())
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Message).To(HaveSuffix("is in a container"))
	})
}

func TestPIDFileOfAZombieOrAThread(t *testing.T) {
	underEachShell(t, func(n *node) {
		program := n.program("webserver")
		n.start("sleep", "sh", "-c", program+" 0.1 & echo $! >/run/pid; exec sleep 1000")
		n.eventually(func() bool {
			return n.sh("cat /proc/$(cat /run/pid)/stat | tr -d '\\n' | head -c 200; :") != "" &&
				len(n.pids("webserver")) == 0
		}, "a zombie")
		c := check(v1alpha1.ProcessSpec{PIDFile: "/run/pid"})
		v := n.probe(c)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(v.Reason).To(Equal(ReasonProcessNotRunning))

		// A thread has an id too, and /proc knows it, but it is not the process that wrote the file.
		n.sh("env " + headless + "=1 " + os.Args[0] + " >/dev/null 2>&1 &")
		threads := "for t in /proc/[0-9]*/task/*; do p=${t%/task*}; [ ${p##*/} = ${t##*/} ] || echo ${t##*/}; done 2>/dev/null"
		n.eventually(func() bool { return n.sh(threads) != "" }, "threads")
		n.sh("set -- $(" + threads + "); echo $1 >/run/pid")
		v = n.probe(c)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy))
	})
}
