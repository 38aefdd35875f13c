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

func byUnit() Check {
	return check(v1alpha1.ProcessSpec{SystemdUnit: "httpd.service"})
}

// TestUnitStates has the states as systemctl 252 prints them, in its own order of properties.
func TestUnitStates(t *testing.T) {
	tests := map[string]struct {
		load, active, sub, result string
		health                    v1alpha1.Health
		reason                    string
	}{
		"running":        {"loaded", "active", "running", "success", v1alpha1.HealthHealthy, ReasonUnitActive},
		"oneshot":        {"loaded", "active", "exited", "success", v1alpha1.HealthHealthy, ReasonUnitActive},
		"stopped":        {"loaded", "inactive", "dead", "success", v1alpha1.HealthUnhealthy, ReasonUnitInactive},
		"crashed":        {"loaded", "failed", "failed", "signal", v1alpha1.HealthUnhealthy, ReasonUnitFailed},
		"starting":       {"loaded", "activating", "start", "success", v1alpha1.HealthHeld, ReasonUnitChanging},
		"restarting":     {"loaded", "activating", "auto-restart", "exit-code", v1alpha1.HealthHeld, ReasonUnitChanging},
		"stopping":       {"loaded", "deactivating", "stop-sigterm", "success", v1alpha1.HealthHeld, ReasonUnitChanging},
		"reloading":      {"loaded", "reloading", "reload", "success", v1alpha1.HealthHeld, ReasonUnitChanging},
		"refreshing":     {"loaded", "refreshing", "refresh", "success", v1alpha1.HealthHeld, ReasonUnitChanging},
		"maintenance":    {"loaded", "maintenance", "cleaning", "success", v1alpha1.HealthHeld, ReasonUnitChanging},
		"masked":         {"masked", "inactive", "dead", "success", v1alpha1.HealthHeld, ReasonUnitMasked},
		"masked, active": {"masked", "active", "running", "success", v1alpha1.HealthHeld, ReasonUnitMasked},
		"not there":      {"not-found", "inactive", "dead", "success", v1alpha1.HealthUnknown, ReasonUnitNotFound},
		"broken":         {"bad-setting", "inactive", "dead", "success", v1alpha1.HealthUnknown, ReasonUnitNotLoaded},
		"of the future":  {"loaded", "hibernating", "x", "success", v1alpha1.HealthUnknown, ReasonUnitNotLoaded},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.standIn("systemctl", `[ "$1" = show ] || exit 9
for unit; do :; done
[ "$unit" = httpd.service ] || exit 8
echo Result=`+test.result+`
echo LoadState=`+test.load+`
echo ActiveState=`+test.active+`
echo SubState=`+test.sub)
			v := n.probe(byUnit())
			n.Expect(v.Health).To(Equal(test.health), name)
			n.Expect(v.Reason).To(Equal(test.reason), name)
			n.Expect(v.Message).To(ContainSubstring("httpd.service"), name)
		}
	})
}

// TestUnitThatWasStopped holds what was stopped in order, and nothing else.
func TestUnitThatWasStopped(t *testing.T) {
	c := byUnit()
	c.Process.OnCleanStop = v1alpha1.CleanStopHold
	tests := map[string]struct {
		active, result string
		health         v1alpha1.Health
		reason         string
	}{
		"stopped in order":          {"inactive", "success", v1alpha1.HealthHeld, ReasonUnitStopped},
		"failed":                    {"failed", "exit-code", v1alpha1.HealthUnhealthy, ReasonUnitFailed},
		"inactive after a failure":  {"inactive", "signal", v1alpha1.HealthUnhealthy, ReasonUnitInactive},
		"inactive without a result": {"inactive", "", v1alpha1.HealthUnhealthy, ReasonUnitInactive},
		"running":                   {"active", "success", v1alpha1.HealthHealthy, ReasonUnitActive},
	}
	underEachShell(t, func(n *node) {
		for name, test := range tests {
			n.standIn("systemctl", "echo LoadState=loaded\necho ActiveState="+test.active+"\necho SubState=x\necho Result="+test.result)
			v := n.probe(c)
			n.Expect(v.Health).To(Equal(test.health), name)
			n.Expect(v.Reason).To(Equal(test.reason), name)
		}
		n.standIn("systemctl", "echo LoadState=loaded\necho ActiveState=inactive\necho SubState=dead\necho Result=success")
		report, _ := n.recover(recovery(c, ": >/run/acted"))
		n.Expect(report.Result).To(Equal(v1alpha1.ResultWithheld))
		n.Expect(report.Reason).To(Equal(ReasonUnitStopped))
		n.Expect(n.exists("/run/acted")).To(BeFalse())
	})
}

func TestUnitWithoutSystemd(t *testing.T) {
	tests := map[string]struct {
		systemctl string
		reason    string
		message   string
	}{
		"no bus": {
			"echo 'System has not been booted with systemd as init system (PID 1).' >&2\necho 'more' >&2\nexit 1",
			ReasonSystemdUnavailable, "systemctl exited 1: System has not been booted with systemd",
		},
		"no answer":      {"exit 0", ReasonSystemdUnavailable, "systemctl exited 0"},
		"half answer":    {"echo LoadState=loaded", ReasonSystemdUnavailable, "systemctl exited 0"},
		"hangs":          {"sleep 1000", ReasonSystemdUnavailable, "did not answer within 1 s"},
		"ignores a TERM": {"trap '' TERM; sleep 1000; sleep 1000", ReasonSystemdUnavailable, "did not answer within 1 s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underEachShell(t, func(n *node) {
				n.standIn("systemctl", test.systemctl)
				c := byUnit()
				if strings.Contains(test.systemctl, "sleep") {
					c.Timeout = time.Second
				}
				v := n.probe(c)
				n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
				n.Expect(v.Reason).To(Equal(test.reason))
				n.Expect(v.Message).To(ContainSubstring(test.message))
			})
		})
	}
}

func TestUnitWithoutSystemctl(t *testing.T) {
	n := startNode(t, shells()[0])
	v := n.probe(byUnit(), "env", "PATH="+n.bare(""))
	n.Expect(v.Health).To(Equal(v1alpha1.HealthUnknown))
	n.Expect(v.Reason).To(Equal(ReasonMissingTool))
	n.Expect(v.Message).To(ContainSubstring("systemctl"))
}
