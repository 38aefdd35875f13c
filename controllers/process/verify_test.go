// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// verify looks as after a document or a reboot.
func (n *node) verify(c Check, uid string) Verdict {
	n.t.Helper()
	return n.verifyOnce(c, uid, ReleaseHealthy)
}

func (n *node) verifyOnce(c Check, uid string, release Release) Verdict {
	n.t.Helper()
	script, err := VerifyScript(c, uid, testBinding, release)
	n.Expect(err).NotTo(HaveOccurred())
	return n.verdict(script)
}

// locked reports whether another recovery finds the node held.
func (n *node) locked() bool {
	n.t.Helper()
	r := recovery(byCommand("true"), "true")
	r.UID = "another-uid"
	report, _ := n.recover(r)
	if report.Result == v1alpha1.ResultNotNeeded {
		return false
	}
	n.Expect(report.Reason).To(Equal(ReasonOtherRecovery))
	return true
}

func TestVerifyGivesTheLockBack(t *testing.T) {
	underEachShell(t, func(n *node) {
		report, _ := n.recover(document(byFile()))
		n.Expect(report.Result).To(Equal(ResultCleared), report.Message)
		n.Expect(n.verify(byFile(), testUID).Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(n.locked()).To(BeTrue(), "it is not done yet")
		n.Expect(n.verify(byCommand("no-such-command"), testUID).Health).To(Equal(v1alpha1.HealthUnknown))
		n.Expect(n.locked()).To(BeTrue(), "nobody knows")
		n.sh("touch /run/healthy")
		n.Expect(n.verify(byFile(), "other-uid").Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(n.locked()).To(BeTrue(), "it is not that of this recovery")
		n.Expect(n.probe(byFile()).Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(n.locked()).To(BeTrue(), "a probe leaves it alone")
		n.sh("touch " + holdFile)
		n.Expect(n.verify(byFile(), testUID).Health).To(Equal(v1alpha1.HealthHeld))
		n.sh("rm " + holdFile)
		n.Expect(n.locked()).To(BeTrue(), "held is not healthy")
		n.Expect(n.verifyOnce(byFile(), testUID, ReleaseNever).Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(n.locked()).To(BeTrue(), "the document may still run")
		n.Expect(n.verify(byFile(), testUID).Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(n.locked()).To(BeFalse())
		n.Expect(n.sh("cat " + lockFolder + "/*")).To(Equal("released"))
		n.Expect(n.sh("ls /run/ssm-remediator")).To(Equal("host\nlock"))
	})
}

// TestLastVerifyGivesTheLockBack is a document that did not help: the next step of the ladder must find the node free.
func TestLastVerifyGivesTheLockBack(t *testing.T) {
	underEachShell(t, func(n *node) {
		report, _ := n.recover(document(byFile()))
		n.Expect(report.Result).To(Equal(ResultCleared), report.Message)
		n.Expect(n.verifyOnce(byFile(), "other-uid", ReleaseAlways).Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.Expect(n.locked()).To(BeTrue(), "it is not that of this recovery")
		n.Expect(n.verifyOnce(byFile(), testUID, ReleaseAlways).Health).To(Equal(v1alpha1.HealthUnhealthy))
		n.sh("touch /run/healthy")
		n.Expect(n.locked()).To(BeFalse())
	})
}

// TestVerifyBeforeTheReboot finds the process healthy while the reboot is still to come.
func TestVerifyBeforeTheReboot(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.noRealReboot()
		report, _ := n.recover(reboot(byFile()))
		n.Expect(report.Result).To(Equal(ResultRebooting), report.Message)
		n.sh("touch /run/healthy")
		n.Expect(n.verify(byFile(), testUID).Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(n.locked()).To(BeTrue())
		n.boots()
		v := n.verify(byFile(), testUID)
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(v.BootID).NotTo(Equal(report.Before.BootID))
		n.Expect(n.locked()).To(BeFalse())
	})
}

// TestVerifyWithoutALock has nothing to give back, or what it cannot read.
func TestVerifyWithoutALock(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.Expect(n.verify(byCommand("true"), testUID).Health).To(Equal(v1alpha1.HealthHealthy))
		n.Expect(n.exists(lockFolder)).To(BeFalse())
		boot := n.sh("cat /proc/sys/kernel/random/boot_id")
		for name, lock := range map[string]string{
			"released": "released", "no time": boot + " soon " + testUID, "expired": boot + " 1 " + testUID, "": "",
		} {
			n.write(lockFolder+"/7", lock+"\n")
			n.Expect(n.verify(byName("webserver"), testUID).Health).To(Equal(v1alpha1.HealthUnhealthy), name)
			n.Expect(n.verify(byCommand("true"), testUID).Health).To(Equal(v1alpha1.HealthHealthy), name)
			n.Expect(n.sh("cat "+lockFolder+"/*")).To(Equal(lock), name)
		}
	})
}

func TestVerifyMustNotBeSent(t *testing.T) {
	g := NewWithT(t)
	for name, test := range map[string]struct {
		check        Check
		uid, binding string
		message      string
	}{
		"uid":     {byName("webserver"), "../x", testBinding, "reading the uid"},
		"binding": {byName("webserver"), testUID, "a b", "reading binding"},
		"process": {check(v1alpha1.ProcessSpec{}), testUID, testBinding, "named in 0 ways"},
		"braces":  {byCommand("echo {{x}}"), testUID, testBinding, "'{{'"},
	} {
		script, err := VerifyScript(test.check, test.uid, test.binding, ReleaseNever)
		g.Expect(err).To(MatchError(ContainSubstring(test.message)), name)
		g.Expect(script).To(BeEmpty(), name)
	}
	script, err := VerifyScript(byName("webserver"), testUID, testBinding, ReleaseAlways)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.HasPrefix(script, "# ssm-remediator probe\n")).To(BeTrue())
}
