// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	// largestStatus is what a status may have, in bytes of JSON.
	largestStatus = 100_000
	// heartbeatTime is how often the status of a policy may be written when all is well.
	heartbeatTime = 5 * time.Minute
)

// policyWritten takes in a policy, and checks its status when that was written.
func (o *oracle) policyWritten(before, p *v1alpha1.RemediationPolicy, gone bool) {
	now, w := o.s.clock.Now(), o.fleet(p.Name)
	edited := before == nil || gone || before.UID != p.UID || before.Generation != p.Generation ||
		!maps.Equal(before.Annotations, p.Annotations)
	switch {
	case edited:
		w.edited, w.news, w.beat, w.counted = now, now, time.Time{}, time.Time{}
	case equality.Semantic.DeepEqual(before.Status, p.Status):
	case len(p.Status.Opening) > len(before.Status.Opening):
		// A claim, which says nothing new of the instances. The pass that wrote it goes on.
		o.size(p)
	default:
		o.size(p)
		o.heartbeats(w, before, p, now)
		o.breaks(w, before, p, now)
		o.looksAhead(before, p, now)
	}
}

func (o *oracle) size(p *v1alpha1.RemediationPolicy) {
	text, err := json.Marshal(p.Status)
	if o.largest = max(o.largest, len(text)); err != nil || len(text) > largestStatus {
		o.violated("the status of %s has %d bytes (%v)", p.Name, len(text), err)
	}
}

// looksAhead checks that a pass does not write that an instance is blocked until a time that is over. What it has not looked
// at yet stays as it was.
func (o *oracle) looksAhead(before, p *v1alpha1.RemediationPolicy, now time.Time) {
	for _, i := range p.Status.Instances {
		unchanged := slices.ContainsFunc(before.Status.Instances, func(was v1alpha1.InstanceStatus) bool {
			return was.InstanceID == i.InstanceID && equality.Semantic.DeepEqual(was.Blocked, i.Blocked)
		})
		if !unchanged && i.Blocked != nil && i.Blocked.Until != nil && !i.Blocked.Until.After(now) {
			o.violated("%s: %s is blocked by %s until %v, which is over", p.Name, i.InstanceID, i.Blocked.Reason, i.Blocked.Until)
		}
	}
}

// heartbeats checks that a healthy fleet costs no more than one write in five minutes.
func (o *oracle) heartbeats(w *watched, before, p *v1alpha1.RemediationPolicy, now time.Time) {
	wellSince := o.latest(w.news, w.edited).Add(o.settled(p))
	if !saysHealthy(before) || !saysHealthy(p) || now.Before(wellSince) || allows(before) != allows(p) {
		w.beat = time.Time{}
		return
	}
	if now.Sub(w.beat) < heartbeatTime-time.Second {
		o.violated("the status of %s, all of whose instances are healthy, was written again after %v", p.Name, now.Sub(w.beat))
	}
	w.beat = now
}

// allows is why recovery may run, or not.
func allows(p *v1alpha1.RemediationPolicy) string {
	for _, c := range p.Status.Conditions {
		if c.Type == v1alpha1.ConditionRemediationAllowed {
			return c.Reason
		}
	}
	return ""
}

func saysHealthy(p *v1alpha1.RemediationPolicy) bool {
	s := &p.Status
	return s.Targets != nil && s.Healthy != nil && *s.Targets == *s.Healthy
}

// breaks checks limits.maxUnhealthy by what the status itself counts: the breaker is open while more are down than may be,
// and for two periods after that.
func (o *oracle) breaks(w *watched, before, p *v1alpha1.RemediationPolicy, now time.Time) {
	over := deref(p.Status.Unhealthy) > mostDown(p, deref(p.Status.Targets))
	switch {
	case over && p.Status.Breaker == nil:
		o.violated("%d of %d instances of %s are down and the breaker is not open", deref(p.Status.Unhealthy), deref(p.Status.Targets), p.Name)
	case over:
		w.counted = time.Time{}
	case w.counted.IsZero():
		w.counted = now
	}
	twoPeriods := time.Duration(2*p.Spec.Probe.PeriodSeconds) * time.Second
	if before.Status.Breaker != nil && p.Status.Breaker == nil && now.Sub(w.counted) < twoPeriods-time.Second && now.Sub(w.edited) > twoPeriods {
		o.violated("the breaker of %s let go %v after its count had fallen", p.Name, now.Sub(w.counted))
	}
}

// compareStatuses checks that statuses say of each instance how it is, once there was time to find that out.
func (o *oracle) compareStatuses(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(o.fleets)) {
		p := o.s.journal.policy(o.s.key(name))
		if p == nil || p.Spec.Suspend || now.Sub(o.latest(o.fleets[name].edited)) < o.settled(p) ||
			o.s.journal.meta("ConfigMap", keyIn(o.s.home, v1alpha1.KillSwitch)) != nil {
			continue
		}
		listed := map[string]v1alpha1.InstanceStatus{}
		for _, i := range p.Status.Instances {
			listed[string(i.InstanceID)] = i
			o.explains(p, i, now)
		}
		if whole := len(p.Status.Instances) < maxInstances; whole {
			o.compareInstances(p, listed, now)
		}
	}
}

func (o *oracle) compareInstances(p *v1alpha1.RemediationPolicy, listed map[string]v1alpha1.InstanceStatus, now time.Time) {
	targets := o.s.targets(p)
	// A node that has fallen silent, and be it for a moment, may hold up the others for some rounds, until it is asked by itself.
	if slices.ContainsFunc(targets, func(m *machine) bool { return now.Sub(m.quietTime) < 2*o.settled(p) }) {
		return
	}
	pages := (len(targets) + inventoryPage - 1) / inventoryPage
	inventoried := max(inventoryInterval, time.Duration(2*pages)*time.Duration(p.Spec.Probe.PeriodSeconds)*time.Second)
	for _, m := range targets {
		// Where nodes are addressed by their ids, only the next inventory tells of one that has joined.
		if now.Sub(m.joinTime) < inventoried+o.settled(p) {
			continue
		}
		if now.Sub(m.healthSince) < o.settled(p) || o.busy(chainKey{p.Name, m.ID()}, o.settled(p), now) {
			continue
		}
		o.counts["instances compared"]++
		said := v1alpha1.HealthHealthy
		if i, is := listed[m.ID()]; is {
			said = i.Health
		}
		if said != m.health {
			o.violated("%s says that %s is %s (%s), which is %s for %v", p.Name, m.ID(), said, listed[m.ID()].Reason, m.health,
				now.Sub(m.healthSince))
		}
	}
}

// busy tells whether an instance is being recovered, or was not long ago: probes say nothing about it then.
func (o *oracle) busy(key chainKey, settled time.Duration, now time.Time) bool {
	chain := o.chains[key]
	if len(chain) == 0 {
		return false
	}
	last := chain[len(chain)-1]
	return last.result == v1alpha1.ResultRunning || now.Sub(last.end) < settled
}

// explains checks what the status says keeps an instance from being recovered.
func (o *oracle) explains(p *v1alpha1.RemediationPolicy, i v1alpha1.InstanceStatus, now time.Time) {
	b := i.Blocked
	if b == nil || b.Reason == "" || b.Message == "" {
		o.violated("%s does not say what keeps %s from being recovered", p.Name, i.InstanceID)
		return
	}
	if b.Until != nil && now.Sub(b.Until.Time) > 2*time.Second {
		o.violated("%s says that %s waits (%s) until %v ago", p.Name, i.InstanceID, b.Reason, now.Sub(b.Until.Time))
	}
	o.counts["blocked by "+b.Reason]++
	chain := o.chains[chainKey{p.Name, string(i.InstanceID)}]
	running := len(chain) > 0 && chain[len(chain)-1].result == v1alpha1.ResultRunning
	switch b.Reason {
	case v1alpha1.BlockedBackoff, v1alpha1.BlockedAttemptsExhausted:
		o.explainsPause(p, i, chain)
	case v1alpha1.BlockedInProgress:
		// One that is being opened has an end.
		o.expect(running || b.Until != nil, "%s says that %s is being recovered, which it is not", p.Name, i.InstanceID)
	case v1alpha1.ReasonSilenced:
		o.expect(b.Until != nil, "%s does not say until when %s is silenced", p.Name, i.InstanceID)
	}
}

// expect notes that a promise was broken unless something is right.
func (o *oracle) expect(right bool, format string, values ...any) {
	if !right {
		o.violated(format, values...)
	}
}

// explainsPause checks the time at which a backoff or a full window ends.
func (o *oracle) explainsPause(p *v1alpha1.RemediationPolicy, i v1alpha1.InstanceStatus, chain []*attempted) {
	if len(chain) == 0 || i.Blocked.Until == nil {
		o.violated("%s says that %s waits (%s) without a reason or an end", p.Name, i.InstanceID, i.Blocked.Reason)
		return
	}
	until := []time.Time{chain[len(chain)-1].end.Add(backoff(chain[len(chain)-1], p.Spec.Limits))}
	if i.Blocked.Reason == v1alpha1.BlockedAttemptsExhausted {
		until = nil
		for _, a := range chain {
			until = append(until, a.end.Add(time.Duration(p.Spec.Limits.WindowSeconds)*time.Second))
		}
	}
	if !slices.ContainsFunc(until, i.Blocked.Until.Time.Equal) {
		o.violated("%s says that %s waits (%s) until %v, which is the end of no pause", p.Name, i.InstanceID, i.Blocked.Reason, i.Blocked.Until)
	}
}
