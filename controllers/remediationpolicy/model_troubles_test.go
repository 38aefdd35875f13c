// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

func (c *chaos) breakSSM() {
	f := background
	switch c.IntN(6) {
	case 0:
		f.throttled = 300 + c.IntN(700)
	case 1:
		f.failed = 300 + c.IntN(700)
	case 2:
		f.lost = 300
	case 3:
		f.unsent = 300
	case 4:
		f.lag = c.within(time.Second, 2*time.Minute)
	default:
		f.ranAnyway = 500
	}
	c.tell("SSM is broken: %+v", f)
	c.faults = f
	c.after(c.within(30*time.Second, 15*time.Minute), c.mend)
}

func (c *chaos) breakAPI() {
	f := background
	f.apiRefused, f.apiLost = c.IntN(400), c.IntN(400)
	c.tell("the API server is broken: %+v", f)
	c.faults = f
	c.after(c.within(30*time.Second, 10*time.Minute), c.mend)
}

func (c *chaos) mend() {
	c.tell("SSM and the API server are mended")
	c.faults = background
}

// edit changes a spec: something that matters to attempts under way, though not the limits that the oracle looks at.
func (c *chaos) edit() {
	name, n := c.policyName(), c.IntN(3)
	excluded := v1alpha1.InstanceID(c.node().ID())
	c.tell("policy %s is edited (%d)", name, n)
	c.change(name, func(p *v1alpha1.RemediationPolicy) {
		switch spec := &p.Spec; n {
		case 0:
			spec.Recovery.Steps[0].Command = v1alpha1.ShellCommand(fmt.Sprintf("restart %d", c.IntN(1_000_000)))
		case 1:
			spec.Targets.Exclude = &v1alpha1.Exclude{InstanceIDs: []v1alpha1.InstanceID{excluded}}
		default:
			spec.Targets.Exclude = nil
			spec.Recovery.Steps[0].VerifySeconds = new(int32(10 + c.IntN(60)))
		}
	})
}

// pause suspends or silences a policy, or all in the Namespace.
func (c *chaos) pause() {
	name, d := c.policyName(), c.within(time.Minute, 40*time.Minute)
	switch c.IntN(3) {
	case 0:
		c.tell("policy %s is suspended", name)
		c.change(name, func(p *v1alpha1.RemediationPolicy) { p.Spec.Suspend = true })
		c.after(d, func() { c.change(name, func(p *v1alpha1.RemediationPolicy) { p.Spec.Suspend = false }) })
	case 1:
		c.tell("policy %s is silenced for %v", name, d)
		c.annotate(name, v1alpha1.AnnotationSilencedUntil, c.in(d))
	default:
		c.tell("the Namespace is silenced for %v", d)
		c.silenceNamespace(c.in(d))
	}
}

// recreate deletes a policy, and creates it again a while later.
func (c *chaos) recreate() {
	p := modelPolicies[c.IntN(len(modelPolicies))]
	if c.journal.policy(c.key(p.name)) == nil {
		return
	}
	c.tell("policy %s is deleted", p.name)
	c.remove(p.name)
	c.after(c.within(time.Second, 10*time.Minute), func() {
		c.tell("policy %s is created again", p.name)
		c.create(p.name, p.spec(c.simulation))
	})
}

// ask asks for a probe, or resets the attempts.
func (c *chaos) ask() {
	name, annotation := c.policyName(), v1alpha1.AnnotationRequestedAt
	if c.IntN(3) == 0 {
		annotation = v1alpha1.AnnotationResetAt
	}
	c.tell("policy %s: %s", name, annotation)
	c.annotate(name, annotation, c.in(0))
}

func (c *chaos) killSwitch() {
	if c.stopped {
		return
	}
	c.tell("the kill switch is on")
	c.stop(true)
	c.after(c.within(time.Minute, 15*time.Minute), func() {
		c.tell("the kill switch is off")
		c.stop(false)
	})
}

// second lets a second replica work beside the first, as when a lease has changed hands and the old leader does not know.
func (c *chaos) second() {
	if len(c.runners) > 1 {
		return
	}
	c.tell("a second replica works beside the first")
	c.newRunner()
	c.after(c.within(10*time.Second, 20*time.Minute), func() { c.runners = c.runners[:1] })
}

// deafen keeps news from a replica.
func (c *chaos) deafen() {
	m := c.runners[c.IntN(len(c.runners))]
	d := c.within(2*time.Second, 5*time.Minute)
	c.tell("a replica hears nothing for %v", d)
	m.deaf = c.clock.Now().Add(d)
}

// freeze stops a replica as a process is stopped, while another one takes over, and lets it go on later.
func (c *chaos) freeze() {
	if len(c.runners) > 1 {
		return
	}
	d := c.within(time.Minute, 70*time.Minute)
	c.tell("the replica is frozen for %v, and another one takes over", d)
	c.runners[0].frozen = c.clock.Now().Add(d)
	c.newRunner()
	c.after(d+c.within(10*time.Second, 5*time.Minute), func() { c.runners = c.runners[1:] })
}

// meddle changes its mind now and then between the opening of a Remediation and its send, also where the replica does not
// hear of it.
func (c *chaos) meddle(m *runner) {
	opened := len(c.oracle.attempts)
	news := opened != c.opened
	c.opened = opened
	if !news || c.clock.Now().After(c.until) || c.IntN(12) > 0 {
		return
	}
	if c.IntN(2) == 0 {
		c.tell("a replica hears nothing for a moment")
		m.deaf = c.clock.Now().Add(c.within(time.Second, 20*time.Second))
	}
	[]func(){c.edit, c.pause, c.pause, c.killSwitch, c.recreate}[c.IntN(5)]()
}

// repair ends all troubles: whatever can be recovered has to be healthy some time later.
func (s *simulation) repair() {
	s.tell("everything is repaired")
	s.schedule, s.between = nil, nil
	for _, m := range s.runners {
		m.between = nil
	}
	s.faults = background
	if s.stopped {
		s.stop(false)
	}
	s.silenceNamespace(s.in(0))
	for _, m := range s.nodes {
		if m.away {
			m.away = false
			s.server.StartAgent(m.ID())
		}
		m.connect(ssmlocal.Online)
		m.setAgent(simulated.Answering)
		m.tell(nil)
		m.behave(simulated.Step{Helps: true, Takes: time.Second})
		m.SetBoot(simulated.Boot{Takes: 40 * time.Second, Starts: true})
		if m.Process(s.clock.Now()) == simulated.Stopped {
			m.Start(s.clock.Now())
		}
	}
	for _, p := range modelPolicies {
		if s.journal.policy(s.key(p.name)) == nil {
			s.create(p.name, p.spec(s))
		}
		s.change(p.name, func(policy *v1alpha1.RemediationPolicy) {
			policy.Spec.Suspend, policy.Spec.Targets.Exclude, policy.Spec.MaintenanceWindows = false, nil, nil
			// A breaker that is open does not let go by itself.
			policy.Spec.Limits.MaxUnhealthy = new(intstr.FromString("100%"))
		})
		s.annotate(p.name, v1alpha1.AnnotationSilencedUntil, "")
		s.annotate(p.name, v1alpha1.AnnotationResetAt, s.in(0))
	}
}
