// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

const (
	// killScript is a step that kills the script of which it is a part.
	killScript = "for p in /proc/[0-9]*; do [ ! -d /run/ssm-remediator/work.${p##*/} ] || kill -KILL ${p##*/}; done; sleep 0.5"
	// lockedBy and currentBoot put a lock into place.
	lockedBy    = "mkdir -p /run/ssm-remediator/lock && printf '%s %s %s\\n' >/run/ssm-remediator/lock/7 "
	currentBoot = "$(cat /proc/sys/kernel/random/boot_id) $(($(cut -d. -f1 /proc/uptime) + 100)) "
)

var (
	unit     = v1alpha1.ProcessSpec{SystemdUnit: "httpd.service"}
	nobody   = v1alpha1.ProcessSpec{Name: "no-such-process"}
	unitHeld = v1alpha1.ProcessSpec{SystemdUnit: "httpd.service", OnCleanStop: v1alpha1.CleanStopHold}
	pidFile  = v1alpha1.ProcessSpec{PIDFile: "/run/x.pid"}
)

var (
	starts = happens("touch /run/up", func(m *model) { m.Start(m.now) })
	stops  = happens("rm -f /run/up", func(m *model) { m.Stop(m.now) })
	// seized is a lock that another recovery holds for long.
	seized = happens(lockedBy+currentBoot+"x", func(m *model) { m.Seize(m.now, "x", 100*time.Second) })
)

func happens(machine string, model func(m *model)) event {
	return event{machine: machine, model: model}
}

// does says what steps do in the model; on a machine it is the command of the step that does it.
func does(s Step) event {
	return happens("true", func(m *model) { m.SetStep(s) })
}

// finds says what steps do in the model, and what is to be said of the process from then on.
func finds(v Verdict) event {
	return happens("true", func(m *model) {
		m.OnStep(func(Effect) Step {
			// It is called with the node's mutex held.
			m.verdict = &v
			return Step{}
		})
	})
}

// soon is something that happens whole seconds after the watch has begun that is sent next.
func soon(after time.Duration, machine string, apply func(m *model, at time.Time)) event {
	const begun = "until grep -v released /run/ssm-remediator/watch/*; do sleep 0.1; done"
	return happens(fmt.Sprintf("(%s; sleep %.0f; %s) >/dev/null 2>&1 &", begun, after.Seconds(), machine), func(m *model) {
		apply(m, m.now.Add(after))
	})
}

func startsAfter(d time.Duration) event {
	return soon(d, "touch /run/up", func(m *model, at time.Time) { m.Start(at) })
}

func stopsAfter(d time.Duration) event {
	return soon(d, "rm -f /run/up", func(m *model, at time.Time) { m.Stop(at) })
}

func tells(machine string, v Verdict) event {
	return happens(machine, func(m *model) { m.Tell(v) })
}

func held(reason string) Verdict {
	return Verdict{v1alpha1.HealthHeld, reason, ""}
}

func unknown(reason string) Verdict {
	return Verdict{v1alpha1.HealthUnknown, reason, ""}
}

// unitIs makes systemctl say something of the unit.
func unitIs(says string, model func(m *model)) event {
	return happens("echo "+says+" >/run/unit", model)
}

func graced(c process.Check, grace time.Duration) process.Check {
	c.StartupGrace = grace
	return c
}

// situations are what comes together on a node, with what the scripts make of it.
var situations = map[string][]event{
	"healthy": {
		starts,
		probe(byFile()).answers("Healthy/CheckPassed"),
		recover("touch /run/acted").answers("NotNeeded/CheckPassed Healthy/CheckPassed started probed done"),
	},
	"the step helps": {
		does(Step{Helps: true, Output: "on it\n"}),
		probe(byFile()).answers("Unhealthy/CheckFailed"),
		recover("echo on it; touch /run/up").answers("Recovered/CheckPassed acted exit=0 Unhealthy/CheckFailed"),
		probe(byFile()).answers("Healthy/CheckPassed"),
	},
	"the step helps later": {
		does(Step{Helps: true, HelpsAfter: 2 * time.Second, Exit: 7}),
		recover("(sleep 2; touch /run/up) & exit 7", times(20*time.Second, 10*time.Second)).
			answers("Recovered/CheckPassed acted exit=7"),
	},
	"the step helps too late": {
		does(Step{Helps: true, HelpsAfter: 2 * time.Second}),
		recover("(sleep 2; touch /run/up) & true").answers("Ineffective/CheckFailed acted exit=0"),
	},
	"the step does not help": {
		does(Step{Output: "nothing\n"}),
		recover("echo nothing").answers("Ineffective/CheckFailed acted exit=0"),
		probe(byFile()).answers("Unhealthy/CheckFailed"),
	},
	"the step fails": {
		does(Step{Exit: 3}),
		recover("exit 3").answers("Failed/CheckFailed acted exit=3"),
	},
	"the step times out": {
		does(Step{Takes: time.Hour, Helps: true, HelpsAfter: 2 * time.Second, Output: "on it\n"}),
		recover("echo on it; exec 2>/dev/null; sleep 4; touch /run/up", times(time.Second, 6*time.Second)).
			answers("TimedOut/CheckFailed acted Unhealthy"),
	},
	"the step times out after it has helped": {
		does(Step{Takes: time.Hour, Helps: true}),
		recover("touch /run/up; sleep 4711", times(time.Second, 0)).answers("Recovered/CheckPassed acted Unhealthy"),
	},
	"the step kills the script": {
		does(Step{Fate: KillsScript}),
		recover(killScript).answers("/ acted Unhealthy/CheckFailed started probed acting"),
		recover("true", by(otherUID)).answers("Withheld/OtherRecovery started done"),
		recover("true").answers("Withheld/AlreadyRan started done"),
	},
	"sent twice": {
		does(Step{}),
		recover("true").answers("Ineffective/CheckFailed"),
		recover("true").answers("Withheld/AlreadyRan started done"),
		recover("true", within(-time.Hour)).answers("Withheld/AlreadyRan started done"),
		recover("true", by(otherUID)).answers("Ineffective/CheckFailed"),
	},
	"late": {
		recover("touch /run/acted", within(-time.Hour)).answers("Withheld/TooLate started done"),
	},
	"late when the look has ended": {
		happens("true", func(m *model) { m.SetLookTakes(3 * time.Second) }),
		recover("touch /run/acted", of(check(v1alpha1.ProcessSpec{Command: "sleep 3; false"})), within(time.Second)).
			answers("Withheld/TooLate Unhealthy/CheckFailed started probed done"),
	},
	"another recovery holds the lock": {
		seized,
		recover("touch /run/acted").answers("Withheld/OtherRecovery started done"),
		probe(byFile()).answers("Unhealthy/CheckFailed"),
	},
	"the recovery itself holds the lock": {
		happens(lockedBy+currentBoot+uid, func(m *model) { m.Seize(m.now, uid, 100*time.Second) }),
		recover("touch /run/acted").answers("Withheld/AlreadyRan started done"),
	},
	"a lock that has expired": {
		happens(lockedBy+"$(cat /proc/sys/kernel/random/boot_id) 1 x", func(m *model) {
			m.Seize(m.now.Add(-time.Minute), "x", 10*time.Second)
		}),
		does(Step{}),
		recover("true").answers("Ineffective/CheckFailed"),
	},
	"a lock of an earlier boot": {
		happens(lockedBy+"11111111-0000-4000-8000-000000000000 999999999 x", func(m *model) {
			m.Seize(m.now, "x", time.Hour)
			m.GoDown(m.now, Boot{Takes: time.Minute})
			m.now = m.now.Add(2 * time.Minute)
		}),
		does(Step{}),
		recover("true").answers("Ineffective/CheckFailed"),
	},
	"held by a file": {
		tells("touch /run/ssm-remediator/hold", held(process.ReasonHoldFile)),
		probe(byFile()).answers("Held/HoldFile"),
		recover("touch /run/acted").answers("Withheld/HoldFile Held/HoldFile started probed done"),
	},
	"held by a file that the step makes": {
		finds(held(process.ReasonHoldFile)),
		recover("touch /run/ssm-remediator/hold").answers("Ineffective/CheckFailed"),
		probe(byFile()).answers("Held/HoldFile"),
	},
	"in a container": {
		tells("rm /run/ssm-remediator/host", unknown(process.ReasonAgentInContainer)),
		probe(byFile()).answers("Unknown/AgentInContainer"),
		recover("touch /run/acted").answers("Withheld/AgentInContainer Unknown/AgentInContainer started probed done"),
	},
	"a check that cannot be run": {
		tells("true", unknown(process.ReasonCheckNotRunnable)),
		probe(check(v1alpha1.ProcessSpec{Command: "no-such-command"})).answers("Unknown/CheckNotRunnable"),
	},
	"booting": {
		probe(graced(byFile(), 1e6*time.Second)).answers("Held/NodeBooting"),
		recover("touch /run/acted", of(graced(byFile(), 1e6*time.Second))).answers("Withheld/NodeBooting Held/NodeBooting started probed done"),
		starts,
		probe(graced(byFile(), 1e6*time.Second)).answers("Healthy/CheckPassed"),
		recover("touch /run/acted", of(graced(byFile(), 1e6*time.Second))).answers("NotNeeded/CheckPassed"),
	},
	"a name": {
		probe(check(v1alpha1.ProcessSpec{Name: "no-such-process"})).answers("Unhealthy/ProcessNotRunning"),
	},
	"a pid file": {
		probe(check(pidFile)).answers("Unhealthy/PIDFileMissing"),
		happens("echo 4194000 >/run/x.pid", func(m *model) { m.Fail(m.now) }),
		probe(check(pidFile)).answers("Unhealthy/ProcessNotRunning"),
		happens("echo 1 >/run/x.pid", func(m *model) { m.Start(m.now) }),
		probe(check(pidFile)).answers("Healthy/ProcessRunning"),
	},
	"a unit": {
		unitIs("LoadState=loaded ActiveState=inactive SubState=dead Result=success", func(m *model) { m.Stop(m.now) }),
		probe(check(unit)).answers("Unhealthy/UnitInactive"),
		probe(check(unitHeld)).answers("Held/UnitStopped"),
		recover("touch /run/acted", of(check(unitHeld))).answers("Withheld/UnitStopped"),
		unitIs("LoadState=loaded ActiveState=failed SubState=failed Result=exit-code", func(m *model) { m.Fail(m.now) }),
		probe(check(unitHeld)).answers("Unhealthy/UnitFailed"),
		unitIs("LoadState=loaded ActiveState=active SubState=running Result=success", func(m *model) { m.Start(m.now) }),
		probe(check(unit)).answers("Healthy/UnitActive"),
		recover("touch /run/acted", of(check(unit))).answers("NotNeeded/UnitActive"),
	},
	"a unit that is masked while the step runs": {
		unitIs("LoadState=loaded ActiveState=inactive SubState=dead Result=success", func(m *model) { m.Stop(m.now) }),
		finds(held(process.ReasonUnitMasked)),
		recover("echo LoadState=masked ActiveState=inactive >/run/unit", of(check(unit))).
			answers("Ineffective/UnitMasked acted exit=0 Unhealthy/UnitInactive Held/UnitMasked"),
		probe(check(unit)).answers("Held/UnitMasked"),
	},
	"evidence": {
		happens("true", func(m *model) {
			m.OnEvidence(func(command string) Evidence {
				return map[string]Evidence{
					"echo; echo a; echo; echo b": {Output: "\na\n\nb\n"},
					"printf c; exit 3":           {Output: "c", Exit: 3},
				}[command]
			})
		}),
		does(Step{Output: "step\n"}),
		recover("echo step", evidence("echo; echo a; echo; echo b", "printf c; exit 3", "true")).
			answers("Ineffective/CheckFailed acted exit=0 Unhealthy/CheckFailed Unhealthy/CheckFailed " +
				"started evidence probed acting acted verified done evidence 0: "),
		starts,
		recover("touch /run/acted", by(otherUID), evidence("touch /run/acted")).answers("NotNeeded/CheckPassed"),
	},
	"evidence that hangs": {
		happens("true", func(m *model) {
			m.OnEvidence(func(string) Evidence { return Evidence{Takes: time.Hour} })
		}),
		does(Step{}),
		recover("true", evidence("exec sleep 4711"), within(time.Minute)).
			answers("Ineffective/CheckFailed acted exit=0 Unhealthy/CheckFailed Unhealthy/CheckFailed " +
				"started evidence probed acting acted verified done evidence -: "),
	},
	"healthy again while evidence is gathered": {
		happens("true", func(m *model) {
			m.OnEvidence(func(string) Evidence { return Evidence{Takes: 3 * time.Second} })
			m.Start(m.now.Add(time.Second))
		}),
		recover("touch /run/acted", evidence("sleep 1; touch /run/up; sleep 2")).
			answers("NotNeeded/CheckPassed Healthy/CheckPassed started evidence probed done evidence 0: "),
	},
	"no time for evidence": {
		does(Step{}),
		recover("true", evidence("touch /run/acted"), within(10*time.Second)).
			answers("Ineffective/CheckFailed acted exit=0 Unhealthy/CheckFailed Unhealthy/CheckFailed " +
				"started probed acting acted verified done"),
	},
	"output of a step that helps": {
		does(Step{Helps: true, Output: "x\n"}),
		recover("echo x; touch /run/up", by("always"), keep(v1alpha1.KeepAlways)).answers("Recovered"),
		stops,
		recover("echo x; touch /run/up", by("on-failure"), keep(v1alpha1.KeepOnFailure)).answers("Recovered"),
		stops,
		recover("echo x; touch /run/up", by("never"), keep(v1alpha1.KeepNever)).answers("Recovered"),
	},
	"output of a step that does not help": {
		does(Step{Output: "x\n"}),
		recover("echo x", by("always"), keep(v1alpha1.KeepAlways)).answers("Ineffective"),
		recover("echo x", by("on-failure"), keep(v1alpha1.KeepOnFailure)).answers("Ineffective"),
		recover("echo x", by("never"), keep(v1alpha1.KeepNever)).answers("Ineffective"),
	},
	"a reboot": {
		recover("", reboot, evidence("true")).
			answers("Rebooting/CheckFailed acted Unhealthy/CheckFailed started evidence probed acting done"),
		recover("", reboot).answers("Withheld/AlreadyRan started done"),
		recover("touch /run/acted", by(otherUID)).answers("Withheld/OtherRecovery started done"),
		starts,
		verify(uid, process.ReleaseHealthy).answers("Healthy/CheckPassed"),
		recover("touch /run/acted", by(otherUID)).answers("Withheld/OtherRecovery started done"),
	},
	"no reboot": {
		recover("", reboot, within(-time.Hour)).answers("Withheld/TooLate started done"),
		starts,
		recover("", reboot).answers("NotNeeded/CheckPassed Healthy/CheckPassed started probed done"),
		recover("touch /run/acted", by(otherUID)).answers("NotNeeded/CheckPassed"),
	},
	"a document": {
		recover("", document).answers("Cleared/CheckFailed Unhealthy/CheckFailed started probed done"),
		recover("", document).answers("Withheld/AlreadyRan started done"),
		verify(uid, process.ReleaseHealthy).answers("Unhealthy/CheckFailed"),
		recover("touch /run/acted", by(otherUID)).answers("Withheld/OtherRecovery started done"),
		starts,
		verify(otherUID, process.ReleaseHealthy).answers("Healthy/CheckPassed"),
		recover("touch /run/acted", by(otherUID)).answers("Withheld/OtherRecovery started done"),
		verify(uid, process.ReleaseHealthy).answers("Healthy/CheckPassed"),
		recover("touch /run/acted", by(otherUID)).answers("NotNeeded/CheckPassed"),
	},
	"a document that did not help": {
		recover("", document).answers("Cleared/CheckFailed"),
		verify(otherUID, process.ReleaseAlways).answers("Unhealthy/CheckFailed"),
		recover("touch /run/acted", by(otherUID)).answers("Withheld/OtherRecovery started done"),
		verify(uid, process.ReleaseAlways).answers("Unhealthy/CheckFailed"),
		starts,
		recover("touch /run/acted", by(otherUID)).answers("NotNeeded/CheckPassed"),
	},
	"no document": {
		starts,
		recover("", document).answers("NotNeeded/CheckPassed Healthy/CheckPassed started probed done"),
	},
	"a watch of what is healthy": {
		starts,
		watchOf(byFile(), 3*second, 2).answers("Healthy/CheckPassed failures=0 busy=false"),
		watchOf(byFile(), second, 2).answers("Healthy/CheckPassed failures=0 busy=false"),
	},
	"a watch of what is down": {
		watchOf(byFile(), time.Minute, 3).answers("Unhealthy/CheckFailed failures=1 busy=false"),
		watchOf(check(nobody), time.Minute, 3).answers("Unhealthy/ProcessNotRunning failures=1 busy=false"),
		watchOf(graced(byFile(), 1e6*time.Second), time.Minute, 3).answers("Held/NodeBooting failures=0 busy=false"),
	},
	"a watch of what goes down": {
		starts,
		stopsAfter(3 * second),
		watchOf(byFile(), time.Minute, 2).answers("Unhealthy/CheckFailed failures=2 busy=false"),
		starts,
		stopsAfter(second),
		watchOf(byFile(), time.Minute, 1).answers("Unhealthy/CheckFailed failures=1 busy=false"),
		starts,
		stopsAfter(second),
		watchOf(graced(byFile(), 1e6*time.Second), time.Minute, 2).answers("Held/NodeBooting failures=0 busy=false"),
	},
	"a watch of a blip": {
		starts,
		stopsAfter(3 * second),
		startsAfter(7 * second),
		watchOf(byFile(), 12*second, 100).answers("Healthy/CheckPassed failures=0 busy=false"),
	},
	"a watch while a recovery works": {
		starts,
		seized,
		stopsAfter(second),
		startsAfter(6 * second),
		watchOf(byFile(), 9*second, 1).answers("Healthy/CheckPassed failures=0 busy=false"),
	},
	"a watch that is over while a recovery works": {
		starts,
		seized,
		stopsAfter(second),
		startsAfter(6 * second),
		watchOf(byFile(), 3*second, 1).answers("Healthy/CheckPassed failures=0 busy=false"),
	},
	"a watch of a unit that is stopped in order": {
		unitIs("LoadState=loaded ActiveState=active SubState=running Result=success", func(m *model) { m.Start(m.now) }),
		soon(second, "echo LoadState=loaded ActiveState=inactive SubState=dead Result=success >/run/next; mv /run/next /run/unit",
			func(m *model, at time.Time) { m.Stop(at) }),
		watchOf(check(unitHeld), time.Minute, 3).answers("Held/UnitStopped failures=0 busy=false"),
		watchOf(check(unit), time.Minute, 3).answers("Unhealthy/UnitInactive failures=1 busy=false"),
	},
	"a watch of a node that is held": {
		starts,
		tells("touch /run/ssm-remediator/hold", held(process.ReasonHoldFile)),
		watchOf(byFile(), time.Minute, 2).answers("Held/HoldFile failures=0 busy=false"),
	},
	"a second watch": {
		starts,
		happens("mkdir -p /run/ssm-remediator/watch && "+
			"echo $(cat /proc/sys/kernel/random/boot_id) 1 $(cut -d' ' -f22 /proc/1/stat) x >/run/ssm-remediator/watch/1",
			func(m *model) { _, _ = m.begin(watchOf(byFile(), time.Minute, 2)) }),
		watchOf(byFile(), time.Minute, 2).answers("Healthy/CheckPassed failures=0 busy=true"),
		recover("touch /run/acted").answers("NotNeeded/CheckPassed"),
		stops,
		watchOf(byFile(), time.Minute, 2).answers("Unhealthy/CheckFailed failures=1 busy=false"),
		does(Step{Helps: true}),
		recover("touch /run/up", by(otherUID)).answers("Recovered/CheckPassed"),
	},
}
