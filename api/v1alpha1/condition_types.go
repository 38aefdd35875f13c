// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of a RemediationPolicy.
const (
	// ConditionReady is True when the policy is accepted and its probes are on time, whatever the fleet's health. True is
	// good.
	ConditionReady = "Ready"
	// ConditionHealthy is True when every target is Healthy. True is good; it is what incidents move.
	ConditionHealthy = "Healthy"
	// ConditionRemediationAllowed is True when an instance that fails now would be recovered. Its reason says why not.
	ConditionRemediationAllowed = "RemediationAllowed"
	// ConditionReconciling is True from a change of the spec until the first whole round of probes after it, and absent
	// otherwise. Tools that follow kstatus wait for that.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when nothing will move until a user changes something, and absent otherwise.
	ConditionStalled = "Stalled"
)

// Reasons of the conditions of a RemediationPolicy.
const (
	// ReasonProbing is the reason of Ready=True: rounds of probes are judged on time.
	ReasonProbing = "Probing"
	// ReasonFirstRound is the reason of Ready=Unknown and Reconciling=True until the first whole round.
	ReasonFirstRound = "FirstRound"
	// ReasonProbesLate is the reason of Ready=False when no round was judged for three periods, or rounds come more than
	// three periods apart.
	ReasonProbesLate = "ProbesLate"
	// ReasonSuspended is the reason of Ready, Healthy and RemediationAllowed while spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonAccessDenied is the reason of Ready=False and Stalled=True when AWS refuses a call that the policy needs.
	ReasonAccessDenied = "AccessDenied"
	// ReasonInvalidRequest is the reason of Ready=False and Stalled=True when AWS calls the policy's request invalid.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonInvalidMaintenanceWindow is the reason of Ready=False and Stalled=True when a schedule or a time zone of
	// spec.maintenanceWindows does not exist. Probing goes on, recovery does not.
	ReasonInvalidMaintenanceWindow = "InvalidMaintenanceWindow"
	// ReasonStopped is the reason of Ready, Healthy and RemediationAllowed while the kill switch, the ConfigMap
	// ssm-remediator-stop in the manager's namespace, is there.
	ReasonStopped = "Stopped"
	// ReasonThrottled is the reason of Ready=False when AWS throttles the probes.
	ReasonThrottled = "Throttled"
	// ReasonAWSUnavailable is the reason of Ready=False when AWS cannot be reached or fails.
	ReasonAWSUnavailable = "AWSUnavailable"

	// ReasonAllHealthy is the reason of Healthy=True.
	ReasonAllHealthy = "AllHealthy"
	// ReasonNoTargets is the reason of Healthy=Unknown when the policy matches no instance.
	ReasonNoTargets = "NoTargets"
	// ReasonSomeUnhealthy is the reason of Healthy=False when the process is down on at least one instance.
	ReasonSomeUnhealthy = "SomeUnhealthy"
	// ReasonSomeUnknown is the reason of Healthy=Unknown when no instance is Unhealthy but some are Held or Unknown.
	ReasonSomeUnknown = "SomeUnknown"

	// ReasonAllowed is the reason of RemediationAllowed=True.
	ReasonAllowed = "Allowed"
	// ReasonRecoveryIneffective is the reason of RemediationAllowed=False after limits.stopAfterIneffective attempts in a row
	// over the fleet that did not recover their instance. A change of the spec ends it, or ssm-remediator.io/reset-at.
	ReasonRecoveryIneffective = "RecoveryIneffective"
	// ReasonTooManyUnhealthy is the reason of RemediationAllowed=False while more instances are down than limits.maxUnhealthy, and
	// until two rounds of probes after that.
	ReasonTooManyUnhealthy = "TooManyUnhealthy"
	// ReasonSilenced is the reason of RemediationAllowed=False until the time of the annotation
	// ssm-remediator.io/silenced-until of the policy or of its Namespace.
	ReasonSilenced = "Silenced"
	// ReasonMaintenanceWindow is the reason of RemediationAllowed=False within a window of the action Deny, or outside of all of
	// the action Allow.
	ReasonMaintenanceWindow = "MaintenanceWindow"
	// ReasonObserving is the reason of RemediationAllowed=False when spec.mode is Observe.
	ReasonObserving = "Observing"
	// ReasonOpeningFailed is the reason of RemediationAllowed=False when the API server refuses a Remediation.
	ReasonOpeningFailed = "OpeningFailed"
)

// Reasons why a single instance that is not Healthy is not being recovered right now (status.instances[].blocked.reason).
const (
	// BlockedInProgress means that a Remediation of the instance is running.
	BlockedInProgress = "InProgress"
	// BlockedBackoff means that the pause after the last attempt has not passed.
	BlockedBackoff = "Backoff"
	// BlockedAttemptsExhausted means that limits.attempts were made within limits.windowSeconds.
	BlockedAttemptsExhausted = "AttemptsExhausted"
	// BlockedMaxConcurrent means that limits.maxConcurrent instances are under recovery.
	BlockedMaxConcurrent = "MaxConcurrent"
	// BlockedRecoveryIneffective means that the attempts of this spec do not help; RemediationAllowed says so too.
	BlockedRecoveryIneffective = ReasonRecoveryIneffective
	// BlockedUnproven means that limits.stopAfterIneffective attempts are under way, and none of this spec has helped so far.
	BlockedUnproven = "Unproven"
	// BlockedAwaitingProbe means that a fresh probe has to find the process down first.
	BlockedAwaitingProbe = "AwaitingProbe"
	// BlockedAwaitingRound means that the round of probes under way may yet show that more instances are down than
	// limits.maxUnhealthy.
	BlockedAwaitingRound = "AwaitingRound"
	// BlockedConfirming means that probe.failureThreshold is not reached yet.
	BlockedConfirming = "Confirming"
	// BlockedHeld means that the node says hands off.
	BlockedHeld = "Held"
	// BlockedUnknown means that nobody knows whether the process is down, and nothing is done on a guess.
	BlockedUnknown = "Unknown"
)

// ConditionComplete is True when a Remediation has ended, and its reason is the result; while it runs it is False with the
// reason Running. True is neither good nor bad.
const ConditionComplete = "Complete"

// Result is the reason of the condition Complete.
type Result string

const (
	// ResultRunning means that there is no result yet.
	ResultRunning Result = "Running"
	// ResultRecovered means that the step was run and the process is healthy again.
	ResultRecovered Result = "Recovered"
	// ResultIneffective means that the step was run and ended well, and the process is still down.
	ResultIneffective Result = "Ineffective"
	// ResultFailed means that the step ended with an exit code that is not 0, and the process is still down.
	ResultFailed Result = "Failed"
	// ResultTimedOut means that the step did not end in time, and the process is still down.
	ResultTimedOut Result = "TimedOut"
	// ResultLost means that nobody can know whether the step ran.
	ResultLost Result = "Lost"
	// ResultNotNeeded means that the process was healthy again before anything was done: nothing was touched.
	ResultNotNeeded Result = "NotNeeded"
	// ResultWithheld means that the node refused: held, another recovery running, or too late. Nothing was touched.
	ResultWithheld Result = "Withheld"
	// ResultWithdrawn means that the attempt was suspended, deleted, changed or expired before the send: nothing was sent.
	ResultWithdrawn Result = "Withdrawn"
	// ResultNotDelivered means that the command never reached the node.
	ResultNotDelivered Result = "NotDelivered"
	// ResultObserved means that the policy only observes: the attempt would have been made.
	ResultObserved Result = "Observed"
)

// CountsAsAttempt reports whether the result counts toward limits.attempts. A running attempt counts. Observed counts as
// well, but only for a policy that observes.
func (r Result) CountsAsAttempt() bool {
	switch r {
	case ResultRunning, ResultRecovered, ResultIneffective, ResultFailed, ResultTimedOut, ResultLost, ResultObserved:
		return true
	case ResultNotNeeded, ResultWithheld, ResultWithdrawn, ResultNotDelivered:
		return false
	}
	return true
}
