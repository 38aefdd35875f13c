// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
)

// Verdict is what a look at the node says.
type Verdict struct {
	Health v1alpha1.Health
	// Reason is one of the constants of controllers/process.
	Reason  string
	Message string
}

// place is where in the scripts a verdict is found that the node has been told to give.
type place int

const (
	// inLook is in every look at the process, also in those that verify.
	inLook place = iota
	// inExamine is around it: when it is looked at before anything is done.
	inExamine
	// atStart is before anything else.
	atStart
)

// places of the reasons that are not found by looking at the process.
var places = map[string]place{
	process.ReasonNotLinux:         atStart,
	process.ReasonMissingTool:      atStart,
	process.ReasonAgentInContainer: inExamine,
	process.ReasonHoldFile:         inExamine,
	process.ReasonNodeDiskFull:     inExamine,
}

// told is the verdict that the node has been told to give at a place, or nil.
func (r *run) told(at place) *Verdict {
	if v := r.node.verdict; v != nil && places[v.Reason] == at {
		return v
	}
	return nil
}

// examine is a look with all that is around it. It is false when the script has ended within.
func (r *run) examine() bool {
	for _, at := range []place{atStart, inExamine} {
		if v := r.told(at); v != nil {
			r.verdict = *v
			return true
		}
	}
	if !r.look() {
		return false
	}
	if s := r.state(); r.verdict.Health == v1alpha1.HealthUnhealthy && s.uptime() < r.script.number("SR_GRACE") {
		r.verdict = Verdict{v1alpha1.HealthHeld, process.ReasonNodeBooting, fmt.Sprintf(
			"the node has booted within the last %s s, and may still start the process: %s",
			r.script.parameters["SR_GRACE"], r.verdict.Message)}
	}
	return true
}

// look looks at the process. It is false when the script has ended within.
func (r *run) look() bool {
	if !r.elapse(r.node.lookTakes) {
		return false
	}
	if v := r.told(inLook); v != nil {
		r.verdict = *v
		return true
	}
	s := r.state()
	r.verdict = r.script.see(s.process)
	return true
}

// see is the verdict about a process, in the way in which the script looks at it.
func (s script) see(p Process) Verdict {
	switch {
	case s.has("SR_UNIT"):
		return s.seeUnit(p)
	case s.has("SR_CHECK"):
		if p == Running {
			return Verdict{v1alpha1.HealthHealthy, process.ReasonCheckPassed, "the check exited 0"}
		}
		return Verdict{v1alpha1.HealthUnhealthy, process.ReasonCheckFailed, "the check exited 1"}
	case p == Running:
		return Verdict{v1alpha1.HealthHealthy, process.ReasonProcessRunning, "process 4711 runs"}
	case !s.has("SR_PID_FILE"):
		return Verdict{v1alpha1.HealthUnhealthy, process.ReasonProcessNotRunning,
			fmt.Sprintf("no process of the name %s runs", s.parameters["SR_NAME"])}
	case p == Stopped:
		return Verdict{v1alpha1.HealthUnhealthy, process.ReasonPIDFileMissing, "there is no " + s.parameters["SR_PID_FILE"]}
	default:
		return Verdict{v1alpha1.HealthUnhealthy, process.ReasonProcessNotRunning,
			fmt.Sprintf("process 4711 of %s does not run", s.parameters["SR_PID_FILE"])}
	}
}

func (s script) seeUnit(p Process) Verdict {
	unit := s.parameters["SR_UNIT"]
	switch {
	case p == Running:
		return Verdict{v1alpha1.HealthHealthy, process.ReasonUnitActive, unit + " is active (running, success)"}
	case p == Crashed:
		return Verdict{v1alpha1.HealthUnhealthy, process.ReasonUnitFailed, unit + " is failed (failed, exit-code)"}
	case s.has("SR_HOLD_STOPPED"):
		return Verdict{v1alpha1.HealthHeld, process.ReasonUnitStopped,
			unit + " is inactive (dead, success): it was stopped in order"}
	default:
		return Verdict{v1alpha1.HealthUnhealthy, process.ReasonUnitInactive, unit + " is inactive (dead, success)"}
	}
}
