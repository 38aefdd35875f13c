// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"strings"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// protocol is the first word of every line of a report.
const protocol = "ssm-remediator/v1"

// Exit codes of a shell that was killed, and of one that cannot run what it was given.
const (
	exitKilled      = 137
	exitNotRunnable = 127
)

// ending is how a script has ended.
type ending int

const (
	// byItself is an exit with a code of its own.
	byItself ending = iota
	// bySignal is a script that something on the node has killed.
	bySignal
	// byOthers is a script that the agent has killed at its time-out, or that has gone down with its node.
	byOthers
)

// run is one execution, played from its start to its end in one go. What it does to the node is scheduled for the time at
// which it is done, and what others see of the node is what has been done by then.
type run struct {
	node      *Node
	execution ssmlocal.Execution
	script    script
	plan      *plan
	// now is how far it has come; limit is when the agent kills it.
	now, limit time.Time
	// verdict is that of the last look.
	verdict Verdict
	// report are the lines of the script, and printed is what users' commands have printed, which comes behind them.
	report, printed strings.Builder
	ending          ending
	exit            int
	reboot          *ssmlocal.Reboot
	forecast        *ssmlocal.Forecast
}

// state is how the node is where the run has come to.
func (r *run) state() state {
	return r.node.stateAt(r.now)
}

// elapse lets the run take time. It is false when it has ended within.
func (r *run) elapse(d time.Duration) bool {
	to := r.now.Add(d)
	if to.After(r.limit) {
		r.now = r.limit
		return r.die(byOthers)
	}
	r.now = to
	if r.state().boot != r.plan.boot {
		return r.die(byOthers)
	}
	return true
}

func (r *run) die(how ending) bool {
	r.ending = how
	return false
}

// date is the time on the node's clock, in seconds.
func (r *run) date() int64 {
	skew := time.Duration(0)
	if !r.execution.NodeTime.IsZero() {
		skew = r.execution.NodeTime.Sub(r.execution.Start)
	}
	return r.now.Add(skew).Unix()
}

// say prints a line of the report.
func (r *run) say(kind, words string) {
	fmt.Fprintf(&r.report, "%s %s %s time=%d %s\n", protocol, r.script.parameters["SR_BINDING"], kind, r.date(), words)
}

// sayVerdict prints the verdict, with what else there is to say of it, if anything.
func (r *run) sayVerdict(kind, words string) {
	s := r.state()
	r.say(kind, fmt.Sprintf("health=%s reason=%s boot=%s uptime=%d %smsg=%.200s",
		r.verdict.Health, r.verdict.Reason, r.node.bootID(s.boot), s.uptime(), words, r.verdict.Message))
}

// print prints the beginning of what a command of a user has printed.
func (r *run) print(prefix, output string, limit int) {
	for line := range strings.Lines(output[:min(len(output), limit)]) {
		fmt.Fprintf(&r.printed, "%s%s\n", prefix, strings.TrimSuffix(line, "\n"))
	}
}

// probe does as probe.sh, and as verify.sh when there is a uid.
func (r *run) probe() {
	if !r.examine() {
		return
	}
	uid, release := r.script.parameters["SR_UID"], r.script.parameters["SR_RELEASE"]
	released := release == "Always" || release == string(r.verdict.Health)
	if released && uid != "" && r.node.lock.owner == uid && r.node.lock.engaged(r.state()) {
		r.node.lock.release(r.now, r.plan)
	}
	r.answer("")
}

// answer is the end of a script that only looks.
func (r *run) answer(words string) {
	r.sayVerdict("probed", words)
	if r.verdict.Health != v1alpha1.HealthHealthy || words == watchBusy {
		r.exit = 1
	}
}

// outcome is what the agent makes of it.
func (r *run) outcome() ssmlocal.Outcome {
	o := ssmlocal.Outcome{
		Delay: r.now.Sub(r.execution.Start), ExitCode: r.exit, Stdout: r.report.String() + r.printed.String(),
		Killed: func(at time.Time) { r.node.interrupt(r.plan, at) },
		Reboot: r.reboot, Forecast: r.forecast,
	}
	switch r.ending {
	case byItself:
	case bySignal:
		o.ExitCode = exitKilled
	case byOthers:
		// The server ends it, at the time-out or when the agent stops.
		o.Delay = r.execution.Timeout + 1
	}
	return o
}
