// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

func keyIn(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// sending checks a send, at the moment at which it is made: what people ask for is looked at right before it.
func (o *oracle) sending(c ssmlocal.Call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if owner, ok := strings.CutPrefix(c.Comment, "probe/"); ok {
		o.probing(owner, c.InstanceIDs)
		return
	}
	uid, purpose, _ := strings.Cut(c.Comment, "/")
	a := o.attempts[types.UID(uid)]
	if a == nil {
		o.violated("a command %s was sent that belongs to no Remediation", c.Comment)
		return
	}
	if purpose == string(v1alpha1.CommandPurposeVerify) {
		return
	}
	o.telling("sending %s of %v", purpose, a)
	now := o.s.clock.Now()
	if _, before := a.sent[purpose]; before {
		// Only an answer that proves that nothing was accepted lets it be sent again, and that is what throttled ones say.
		o.counts["sent again"]++
	}
	a.sent[purpose] = now
	if wrong := o.unsendable(a, now); wrong != "" {
		o.violated("%s of %v was sent although %s", purpose, a, wrong)
	}
}

// unsendable says why an attempt must not be sent.
func (o *oracle) unsendable(a *attempted, now time.Time) string {
	policy := o.s.journal.policy(o.s.key(a.policy))
	w := o.fleet(a.policy)
	switch {
	case a.result != v1alpha1.ResultRunning:
		return "it has ended"
	case a.Mode == v1alpha1.ModeObserve:
		return "the policy only observes"
	case now.After(a.NotAfter.Time):
		return "it is too late"
	case policy == nil || policy.UID != a.PolicyRef.UID:
		return "the policy is gone"
	case policy.Generation != a.PolicyRef.Generation:
		return "the policy was changed"
	case !w.over.IsZero() && now.Sub(o.latest(w.over, w.edited)) > o.settled(policy):
		return "more instances are down than limits.maxUnhealthy"
	}
	return o.forbidden(policy, now)
}

// latest is the last time at which something was not as it should be, after a time.
func (o *oracle) latest(times ...time.Time) time.Time {
	return slices.MaxFunc(append(times, o.troubled), time.Time.Compare)
}

// settled is how long after something has happened the policy has to know of it: two rounds with their answers, and the
// probe that confirms. Of a node that is watched and lost it knows when the watch ought to have ended.
func (o *oracle) settled(policy *v1alpha1.RemediationPolicy) time.Duration {
	probe := policy.Spec.Probe
	settled := time.Duration(2*(probe.PeriodSeconds+probe.TimeoutSeconds)+probe.ConfirmSeconds)*time.Second + 60*time.Second
	if probe.Mode == v1alpha1.ProbeWatch {
		check := process.Check{Timeout: time.Duration(probe.TimeoutSeconds) * time.Second}
		settled += process.WatchTimeout(check, process.Watch{Duration: time.Duration(probe.WatchSeconds) * time.Second})
	}
	return settled
}

// probing checks the send of a probe.
func (o *oracle) probing(owner string, ids []string) {
	uid, _, _ := strings.Cut(owner, "/")
	for name := range o.fleets {
		policy := o.s.journal.policy(o.s.key(name))
		if policy == nil || string(policy.UID) != uid {
			continue
		}
		stopped := o.s.journal.meta("ConfigMap", keyIn(o.s.home, v1alpha1.KillSwitch)) != nil
		if stopped || policy.Spec.Suspend {
			o.counts["probes of what should not be probed"]++
			if !o.unheard(name) {
				o.violated("policy %s was probed although it is suspended or stopped", name)
			}
		}
		for _, id := range ids {
			if excluded(&policy.Spec.Targets, o.s.byID[id]) && !o.unheard(name) {
				o.violated("%s was probed although it is excluded", id)
			}
		}
	}
}

// unheard tells whether a replica may not know yet what was changed last about a policy: its view is behind, or that happened at this
// very moment, after its pass.
func (o *oracle) unheard(policy string) bool {
	now := o.s.clock.Now()
	return o.fleets[policy].edited.Equal(now) || o.s.stopTime.Equal(now) || slices.ContainsFunc(o.s.runners, func(m *runner) bool { return m.deaf.After(now) })
}

// acted checks an effect, when it has come about.
func (o *oracle) acted(e simulated.Effect) {
	a := o.attempts[types.UID(e.UID)]
	if a == nil {
		o.violated("something was done on %s that belongs to no Remediation: %+v", e.InstanceID, e)
		return
	}
	o.telling("%s acts on %s, by %v", e.Kind, e.InstanceID, a)
	o.counts["effects of "+a.policy]++
	again := len(a.effects) > 0
	a.effects = append(a.effects, e)
	o.happens()
	document := a.Step.Document != nil
	if document && e.Kind != ssmlocal.Run {
		// The agent runs a document again that was interrupted. Nothing of ours is in it that could refuse.
		o.counts["documents that the agent ran again"]++
		return
	}
	switch {
	case again:
		o.violated("%v has acted twice: %+v", a, a.effects)
	case e.InstanceID != string(a.InstanceID) || e.Action != actionOf(a.Step):
		o.violated("%v did something else: %+v", a, e)
	case a.Mode == v1alpha1.ModeObserve:
		o.violated("%v of a policy that only observes has acted", a)
	case a.result != v1alpha1.ResultRunning && (!document || a.result != v1alpha1.ResultTimedOut):
		o.violated("%v acted after its result was %s", a, a.result)
	}
	o.actedOn(a, e)
	o.actedWithin(a)
}

func actionOf(step v1alpha1.RecoveryStep) string {
	switch {
	case step.Document != nil:
		return step.Document.Name
	case step.Reboot != nil:
		return simulated.Reboot
	default:
		return string(step.Command)
	}
}

// documentWindow is the longest from the look of a check to the beginning of the document: the time in which the check is
// read, and may be sent, and the document is delivered.
const documentWindow = 2*time.Minute + 30*time.Second

// actedOn checks how the node was when something was done on it: for all but a document, as the script has found it.
func (o *oracle) actedOn(a *attempted, e simulated.Effect) {
	m := o.s.byID[e.InstanceID]
	look := o.started[executionKey{e.CommandID, e.InstanceID}]
	slack := time.Duration(0)
	if a.Step.Document != nil {
		look, slack = a.sent[string(v1alpha1.CommandPurposeCheck)], documentWindow
	}
	switch {
	case e.Healthy && slack == 0, e.Healthy && e.Time.Sub(m.lastDown) > slack:
		o.violated("%v has acted on a process that ran", a)
	case m.told != nil && m.toldTime.Before(look):
		o.violated("%v has acted on a node that is %s since %v", a, m.told.Reason, m.toldTime.Sub(o.s.began))
	case e.Time.Sub(m.lastOff) < startupGrace && slack == 0:
		o.violated("%v has acted on a node that booted within the grace", a)
	case e.Time.After(a.NotAfter.Add(2*time.Second+slack)) && e.Time.Sub(m.skewTime) > 10*time.Minute:
		o.violated("%v has acted %v after its notAfter", a, e.Time.Sub(a.NotAfter.Time))
	}
}

// actedWithin checks the limits by what was done, of all policies of the name.
func (o *oracle) actedWithin(a *attempted) {
	policy := o.s.journal.policy(o.s.key(a.policy))
	if policy == nil {
		return
	}
	limits, reset := policy.Spec.Limits, policy.Status.ResetTime
	window := time.Duration(limits.WindowSeconds) * time.Second
	last := a.effects[0].Time
	within := 0
	for _, other := range o.chains[chainKey{a.policy, string(a.InstanceID)}] {
		if len(other.effects) == 0 || (reset != nil && other.OpenTime.Before(reset)) {
			continue
		}
		ago := last.Sub(other.effects[0].Time)
		if ago >= 0 && ago < window {
			within++
		}
		if pause := time.Duration(limits.BackoffSeconds) * time.Second; other != a && ago < pause {
			o.violated("%v has acted %v after %v", a, ago, other)
		}
	}
	if within > int(limits.Attempts) {
		o.violated("%v is the %dth that has acted on the instance within %v", a, within, window)
	}
}
