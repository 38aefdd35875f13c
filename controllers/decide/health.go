// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Reasons of a State that no probe gives.
const (
	// ReasonNotProbed means that no probe has answered yet.
	ReasonNotProbed = "NotProbed"
	// ReasonConfirming means that a probe failed, and the threshold is not reached yet.
	ReasonConfirming = "Confirming"
	// ReasonNodeNotManaged means that the node is not in the inventory of Systems Manager.
	ReasonNodeNotManaged = "NodeNotManaged"
	// ReasonNodeOffline means that the agent has not been heard of lately.
	ReasonNodeOffline = "NodeOffline"
)

// Observation is what one probe of one instance found.
type Observation struct {
	Health  v1alpha1.Health
	Reason  string
	Message string
	// ProbeTime is when the probe was sent, ReadTime when its answer was read, both by our clock.
	ProbeTime, ReadTime time.Time
	// Failures is how many looks in a row have found the process down, when the probe has looked more than once.
	Failures int32
	// CommandID is the SSM command of the probe, if there was one.
	CommandID string
	// ClockOffset is how far the node's clock was ahead of ours; it errs towards behind.
	ClockOffset time.Duration
	// Source is what made us look.
	Source v1alpha1.DetectionSource
	// Impossible means that the node has answered that there is nothing to look at, or nothing to look with, which may stay so for good.
	Impossible bool
}

// State is the health of an instance after the thresholds of its policy.
type State struct {
	Health  v1alpha1.Health
	Reason  string
	Message string
	// Since is when Health became what it is.
	Since time.Time
	// Failures and Successes count probes in a row that found the process down, or running.
	Failures, Successes int32
	// FirstFailure is when the failed probe that began all this was read; zero without one.
	FirstFailure time.Time
	// Source is what made us look then.
	Source v1alpha1.DetectionSource
	// DownTime is when the threshold was reached; zero while it is not.
	DownTime time.Time
	// WasDown is whether the last probe that the node could carry out found the process down.
	WasDown bool
	// Spell is the last time that the instance was Healthy, once that has ended: with the probe that failed first.
	Spell Spell
	// Last is the newest observation.
	Last Observation
}

// Spell is a stretch of time.
type Spell struct {
	Start, End time.Time
}

// Unprobed is the State of an instance that no probe has answered for.
func Unprobed(now time.Time) State {
	return State{
		Health: v1alpha1.HealthUnknown, Reason: ReasonNotProbed, Message: "no probe has answered yet", Since: now,
	}
}

// Observe returns the State after one more observation. One that is older than what is known changes nothing.
func (s State) Observe(o Observation, probe v1alpha1.ProbeSpec) State {
	if o.ProbeTime.Before(s.Last.ProbeTime) {
		return s
	}
	s.Last = o
	if o.Health != v1alpha1.HealthUnknown || o.Impossible {
		s.WasDown = o.Health == v1alpha1.HealthUnhealthy
	}
	switch o.Health {
	case v1alpha1.HealthHealthy:
		return s.succeeded(o, probe)
	case v1alpha1.HealthUnhealthy:
		return s.failed(o, probe)
	case v1alpha1.HealthHeld, v1alpha1.HealthUnknown:
		// Neither is a failed probe: the row is broken, and starts again when the node can be looked at again.
		s.Failures, s.Successes = 0, 0
		return s.become(o.Health, o.Reason, o.Message, o.ReadTime)
	}
	return s
}

func (s State) succeeded(o Observation, probe v1alpha1.ProbeSpec) State {
	s.Failures = 0
	s.Successes++
	if s.Health == v1alpha1.HealthUnhealthy && s.Successes < probe.SuccessThreshold {
		s.Message = fmt.Sprintf("the process runs again in %d of %d probes in a row", s.Successes, probe.SuccessThreshold)
		return s
	}
	return s.become(v1alpha1.HealthHealthy, o.Reason, o.Message, o.ReadTime)
}

func (s State) failed(o Observation, probe v1alpha1.ProbeSpec) State {
	s.Successes = 0
	s.Failures += max(1, o.Failures)
	if s.FirstFailure.IsZero() {
		s.FirstFailure, s.Source = o.ReadTime, o.Source
	}
	switch {
	case s.Failures >= probe.FailureThreshold || s.Health == v1alpha1.HealthUnhealthy:
		first := s.FirstFailure
		s = s.become(v1alpha1.HealthUnhealthy, o.Reason, o.Message, o.ReadTime)
		s.FirstFailure = first
	case s.Health != v1alpha1.HealthHealthy:
		// One that was Held is not any more.
		first, source := s.FirstFailure, s.Source
		s = s.become(v1alpha1.HealthUnknown, ReasonConfirming, "", o.ReadTime)
		s.FirstFailure, s.Source = first, source
		s.Message = fmt.Sprintf("%d of %d failed probes in a row: %s", s.Failures, probe.FailureThreshold, o.Message)
	}
	if s.Failures >= probe.FailureThreshold && s.DownTime.IsZero() {
		s.DownTime = o.ReadTime
	}
	return s
}

// become changes the health. What is known of an incident ends when the instance is no longer Unhealthy.
func (s State) become(h v1alpha1.Health, reason, message string, at time.Time) State {
	if s.Health != h {
		s.Spell = s.LastHealthy(at)
		s.Since = at
	}
	s.Health, s.Reason, s.Message = h, reason, message
	if h != v1alpha1.HealthUnhealthy {
		s.FirstFailure, s.DownTime = time.Time{}, time.Time{}
	}
	return s
}

// LastHealthy is the last time that the instance was Healthy: until at, or the probe that failed first, when it still is.
func (s State) LastHealthy(at time.Time) Spell {
	switch {
	case s.Health != v1alpha1.HealthHealthy:
		return s.Spell
	case s.FirstFailure.IsZero():
		return Spell{Start: s.Since, End: at}
	default:
		return Spell{Start: s.Since, End: s.FirstFailure}
	}
}

// Down reports whether the threshold is reached and the newest observation agrees: only then may anything be done.
func (s State) Down(probe v1alpha1.ProbeSpec) bool {
	return s.Health == v1alpha1.HealthUnhealthy && s.Failures >= probe.FailureThreshold
}

// evidenceGrace is added to what one probe takes for the age up to which it may be acted upon: a period of 30 s and a round
// fit in.
const evidenceGrace = 60 * time.Second

// stale reports whether the newest observation is too old to act upon: since then somebody may have excluded the instance,
// or repaired it.
func (s State) stale(now time.Time, probe v1alpha1.ProbeSpec) bool {
	return now.Sub(s.Last.ProbeTime) > time.Duration(probe.TimeoutSeconds)*time.Second+evidenceGrace
}

// ConfirmAt returns when an instance whose probe failed is to be probed again, by itself, and whether it is.
func (s State) ConfirmAt(probe v1alpha1.ProbeSpec) (time.Time, bool) {
	if s.Failures == 0 || s.Failures >= probe.FailureThreshold {
		return time.Time{}, false
	}
	return s.Last.ReadTime.Add(time.Duration(probe.ConfirmSeconds) * time.Second), true
}
