// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"slices"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// Reasons of Unknown that no verdict of the node gives.
const (
	// ReasonNoAnswer means that the probe was sent and nothing came back in time.
	ReasonNoAnswer = "NoAnswer"
	// ReasonNoVerdict means that the command ended without a verdict line of our probe.
	ReasonNoVerdict = "NoVerdict"
	// ReasonNotDelivered means that the probe never reached the node.
	ReasonNotDelivered = "NotDelivered"
	// ReasonNotRun means that AWS did not run the probe on the node.
	ReasonNotRun = "NotRun"
	// ReasonWatchedByAnother is that of Healthy on a node that another policy watches: it was looked at once.
	ReasonWatchedByAnother = "WatchedByAnother"
	// ReasonProbeSucceeded is that of Healthy when counts tell it: the probe exited 0.
	ReasonProbeSucceeded = "ProbeSucceeded"
)

// succeeded is what the counts of a command tell of a node: our probe exits 0 when, and only when, it has found the process running.
var succeeded = decide.Observation{
	Health: v1alpha1.HealthHealthy, Reason: ReasonProbeSucceeded, Message: "the probe has succeeded",
}

// judge turns what became of a probe on one node into an observation. Healthy and Unhealthy come from the verdict line
// alone, which has to be bound to this very command; everything else is Unknown.
func judge(i runcommand.Invocation, listed bool, binding string, o runcommand.Observation) decide.Observation {
	if listed && i.Status.Ran() {
		return judgeOutput(i, binding, o)
	}
	switch {
	case !listed && o.Err != nil:
		p := problemOf(o.Err)
		return unknown(p.reason, p.message)
	case !listed || !i.Status.Final():
		return unknown(ReasonNoAnswer, "the probe was sent and the node did not answer in time; its agent may be down or busy")
	case i.Status == runcommand.StatusDeliveryTimedOut, i.Status == runcommand.StatusUndeliverable:
		return unknown(ReasonNotDelivered, fmt.Sprintf("the probe did not reach the node (%s)", i.StatusText))
	case i.Status == runcommand.StatusInvalidPlatform:
		return unknown(process.ReasonNotLinux, "the node does not run Linux")
	default:
		return unknown(ReasonNotRun, fmt.Sprintf("the probe was not run (%s)", i.StatusText))
	}
}

func judgeOutput(i runcommand.Invocation, binding string, o runcommand.Observation) decide.Observation {
	verdict, err := process.ReadVerdict(i.Output, binding)
	if err != nil {
		return unknown(ReasonNoVerdict, fmt.Sprintf("%v (%s, exit code %d)", err, i.StatusText, i.ResponseCode))
	}
	observation := decide.Observation{
		Health: verdict.Health, Reason: verdict.Reason, Message: verdict.Message, Failures: verdict.Failures,
		Impossible: slices.Contains(impossible, verdict.Reason),
	}
	if verdict.Busy {
		observation.Reason = ReasonWatchedByAnother
	}
	if !verdict.NodeTime.IsZero() {
		// The node said its time before we read it, so the offset errs towards behind, and notAfter towards early.
		observation.ClockOffset = verdict.NodeTime.Sub(o.ReadTime)
	}
	return observation
}

func unknown(reason, message string) decide.Observation {
	return decide.Observation{Health: v1alpha1.HealthUnknown, Reason: reason, Message: message}
}

// impossible are the reasons of a node that has nothing to look at, or nothing to look with.
var impossible = []string{
	process.ReasonUnitNotFound, process.ReasonUnitNotLoaded, process.ReasonMissingTool, process.ReasonCheckNotRunnable,
}

// problem is an error of AWS as users read it.
type problem struct {
	reason  string
	message string
	// stalled means that it takes a user to solve it.
	stalled bool
}

func problemOf(err error) *problem {
	words := runcommand.Words(err)
	switch runcommand.Classify(err) {
	case runcommand.Denied:
		return &problem{v1alpha1.ReasonAccessDenied, "AWS refuses access: " + words +
			"; check the controller's IAM role (config/iam)", true}
	case runcommand.Throttled:
		return &problem{v1alpha1.ReasonThrottled, "AWS throttles the calls: " + words, false}
	case runcommand.Invalid, runcommand.InvalidInstance:
		return &problem{v1alpha1.ReasonInvalidRequest, "AWS refuses the request: " + words, true}
	case runcommand.Unavailable, runcommand.NotYet:
	}
	return &problem{v1alpha1.ReasonAWSUnavailable, "AWS does not answer as it should: " + words, false}
}
