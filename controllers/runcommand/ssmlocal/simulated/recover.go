// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"strings"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// What the scripts keep of what users' commands print, in bytes.
const (
	outputLimit   = 2048
	evidenceLimit = 1024
)

// evidences are the parameters that hold the commands of the evidence.
var evidences = [...]string{"SR_EVIDENCE_1", "SR_EVIDENCE_2", "SR_EVIDENCE_3", "SR_EVIDENCE_4"}

// recovery is a run of a recovery script.
type recovery struct {
	*run
	// mine tells that it holds the lock, and is to give it back.
	mine bool
	// evidence is what the commands of the evidence have printed.
	evidence []string
	// code is the exit code of the step, as it is reported.
	code string
	// did says how the step has ended, and result is what follows from that when it has not helped.
	did    string
	result v1alpha1.Result
}

// recover does as recover.sh. A phase is false when the script has ended in it.
func (r *run) recover() {
	c := &recovery{run: r, code: "-"}
	c.say("started", "msg=")
	for _, phase := range []func() bool{
		c.once, c.refuse, c.refuseLate, c.acquire, c.once, c.compare, c.refuseLate, c.step,
	} {
		if !phase() {
			return
		}
	}
}

func (r *recovery) once() bool {
	if r.node.marked(r.plan.uid, r.now) {
		return r.withhold(process.ReasonAlreadyRan, "this recovery has run on the node before")
	}
	return true
}

func (r *recovery) refuse() bool {
	if v := r.told(atStart); v != nil {
		return r.withhold(v.Reason, v.Message)
	}
	return true
}

func (r *recovery) refuseLate() bool {
	if late := r.date() - r.script.number("SR_NOT_AFTER"); late > 0 {
		return r.withhold(process.ReasonTooLate, fmt.Sprintf("the recovery had to begin %d s earlier", late))
	}
	return true
}

func (r *recovery) acquire() bool {
	claimant := r.plan.uid
	if r.reboots() {
		claimant += " (reboot)"
	}
	lock, s := &r.node.lock, r.state()
	switch {
	case !lock.engaged(s):
		lock.take(s, claimant, r.script.number("SR_BOUND"))
		r.mine = true
		return true
	case lock.owner == claimant:
		return r.withhold(process.ReasonAlreadyRan, "this recovery is running on the node")
	default:
		return r.withhold(process.ReasonOtherRecovery, "the node is held by "+lock.holder(s))
	}
}

func (r *recovery) compare() bool {
	if !r.examine() {
		return false
	}
	if r.verdict.Health == v1alpha1.HealthUnhealthy && !r.gather() {
		return false
	}
	r.sayVerdict("probed", "")
	switch r.verdict.Health {
	case v1alpha1.HealthUnhealthy:
		return true
	case v1alpha1.HealthHealthy:
		return r.finish(v1alpha1.ResultNotNeeded, "healthy again before anything was done")
	default:
		return r.withhold(r.verdict.Reason, r.verdict.Message)
	}
}

// gather runs the commands of the evidence, as long as there is time, and looks again when that took long.
func (r *recovery) gather() bool {
	since, exits := r.state(), ""
	for i, name := range evidences {
		if !r.script.has(name) || r.date() > r.script.number("SR_EVIDENCE_BEFORE") {
			break
		}
		e := r.node.evidence(r.script.parameters[name])
		exit, bound := fmt.Sprint(e.Exit), r.script.seconds("SR_EVIDENCE_TIMEOUT")
		if e.Takes > bound {
			e.Takes, exit = bound, "-"
		}
		if !r.elapse(e.Takes) {
			return false
		}
		exits += fmt.Sprintf("exit%d=%s ", i+1, exit)
		r.evidence = append(r.evidence, e.Output)
	}
	if exits != "" {
		r.say("evidence", exits+"msg=")
	}
	if s := r.state(); s.uptime()-since.uptime() >= 2 {
		return r.examine()
	}
	return true
}

// reboots tells whether the step is a reboot, and runs whether it is a command. What is neither is a document.
func (r *recovery) reboots() bool { return r.script.has("SR_DELAY") }
func (r *recovery) runs() bool    { return r.script.has("SR_STEP") }

// step makes the marker, and does the step or prepares it.
func (r *recovery) step() bool {
	r.plan.acts = r.now
	r.node.ran[r.plan.uid] = r.plan
	switch {
	case r.runs():
		r.begin(r.script.parameters["SR_STEP"])
		r.plan.step = r.node.step(*r.plan.effect)
		return r.act() && r.verify() && r.conclude()
	case r.reboots():
		r.begin(Reboot)
		r.goDown(r.now.Add(r.script.seconds("SR_DELAY")))
		r.mine = false
		return r.finish(process.ResultRebooting,
			fmt.Sprintf("the node reboots in %s s: %s", r.script.parameters["SR_DELAY"], r.verdict.Message))
	default:
		r.mine = false
		return r.finish(process.ResultCleared, r.verdict.Message)
	}
}

// begin records that something is done.
func (r *recovery) begin(action string) {
	s := r.state()
	r.plan.effect = r.node.ledger.record(Effect{
		InstanceID: r.node.id, UID: r.plan.uid, CommandID: r.execution.CommandID, Kind: r.execution.Kind,
		Action: action, Time: r.now, Healthy: s.process == Running,
	})
	r.say("acting", "msg=")
}

func (r *recovery) act() bool {
	p := r.plan
	takes, forced := p.step.takes(r.script.seconds("SR_STEP_TIMEOUT"))
	ends := r.now.Add(takes)
	if forced && !ends.After(r.limit) {
		p.forced = ends
	}
	r.node.carryOut(p)
	if !forced && p.step.Fate == CrashesNode {
		r.goDown(ends)
	}
	if !r.elapse(takes) {
		return false
	}
	if !forced && p.step.Fate == KillsScript {
		return r.die(bySignal)
	}
	switch {
	case forced:
		r.did, r.result = fmt.Sprintf("the step was ended after %s s", r.script.parameters["SR_STEP_TIMEOUT"]), v1alpha1.ResultTimedOut
	case p.step.Exit != 0:
		r.did, r.result = fmt.Sprintf("the step exited %d", p.step.Exit), v1alpha1.ResultFailed
	default:
		r.did, r.result = "the step exited 0", v1alpha1.ResultIneffective
	}
	if !forced {
		r.code = fmt.Sprint(p.step.Exit)
	}
	r.say("acted", "exit="+r.code+" msg=")
	return true
}

// verify looks until the process is healthy or the time has passed, at least once, and completes what the step did.
func (r *recovery) verify() bool {
	begun := r.state()
	for {
		if !r.look() {
			return false
		}
		s := r.state()
		took := s.uptime() - begun.uptime()
		if r.verdict.Health == v1alpha1.HealthHealthy {
			r.did += fmt.Sprintf("; healthy after %d s", took)
			break
		}
		if took >= r.script.number("SR_VERIFY") {
			r.did += fmt.Sprintf("; still not healthy after %d s: %s", took, r.verdict.Message)
			break
		}
		if !r.elapse(time.Second) {
			return false
		}
	}
	r.sayVerdict("verified", "")
	return true
}

func (r *recovery) conclude() bool {
	if r.verdict.Health == v1alpha1.HealthHealthy {
		r.result = v1alpha1.ResultRecovered
	}
	return r.finish(r.result, r.did)
}

func (r *recovery) withhold(reason, message string) bool {
	r.verdict.Reason = reason
	return r.finish(v1alpha1.ResultWithheld, message)
}

// finish gives the lock back, prints the last line, and behind it what is kept of what users' commands have printed.
func (r *recovery) finish(result v1alpha1.Result, message string) bool {
	if r.mine {
		r.node.lock.release(r.now, r.plan)
	}
	r.say("done", fmt.Sprintf("result=%s reason=%s exit=%s msg=%.200s", result, r.verdict.Reason, r.code, message))
	switch result {
	case v1alpha1.ResultRecovered, v1alpha1.ResultNotNeeded, process.ResultRebooting, process.ResultCleared:
	default:
		r.exit = 1
	}
	if r.runs() && r.plan.effect != nil && r.keeps(result) {
		r.print("| ", r.plan.step.Output, outputLimit)
	}
	for i, output := range r.evidence {
		r.print(fmt.Sprintf("%d| ", i+1), squeeze(output), evidenceLimit)
	}
	return false
}

func (r *recovery) keeps(result v1alpha1.Result) bool {
	switch v1alpha1.KeepOutput(r.script.parameters["SR_KEEP"]) {
	case v1alpha1.KeepAlways:
		return true
	case v1alpha1.KeepNever:
		return false
	default:
		return result != v1alpha1.ResultRecovered
	}
}

// squeeze leaves out the empty lines but one at the beginning, as tr -s does.
func squeeze(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" || lines.Len() == 0 {
			lines.WriteString(line)
		}
	}
	return lines.String()
}
