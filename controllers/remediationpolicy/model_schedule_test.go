// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// chaos lets random things happen to a simulation.
type chaos struct {
	*simulation
	*rand.Rand
	// until is when nothing new begins any more.
	until time.Time
	// opened is how many Remediations there were when it was looked last.
	opened int
}

// trouble is something that happens again and again, at random, so often an hour.
type trouble struct {
	name   string
	hourly float64
	begins func(c *chaos)
}

// troubles are what happens in a fleet of 200; what happens to single nodes happens less often in smaller ones.
var troubles = []trouble{
	{"node", 150, (*chaos).crash},
	{"storm", 1.2, (*chaos).storm},
	{"node", 20, (*chaos).stubborn},
	{"node", 10, (*chaos).reboot},
	{"node", 10, (*chaos).disconnect},
	{"node", 10, (*chaos).hold},
	{"node", 6, (*chaos).stopInOrder},
	{"node", 8, (*chaos).turnClock},
	{"node", 10, (*chaos).restartAgent},
	{"node", 10, (*chaos).replay},
	{"SSM", 1.5, (*chaos).breakSSM},
	{"API", 0.7, (*chaos).breakAPI},
	{"policy", 1.2, (*chaos).edit},
	{"policy", 0.7, (*chaos).pause},
	{"policy", 0.4, (*chaos).recreate},
	{"policy", 0.7, (*chaos).ask},
	{"policy", 0.3, (*chaos).killSwitch},
	{"replica", 0.6, func(c *chaos) { c.tell("a replica restarts"); c.restart() }},
	{"replica", 0.4, (*chaos).second},
	{"replica", 0.5, (*chaos).deafen},
	{"replica", 0.3, (*chaos).freeze},
}

// unleash lets troubles begin, for so long.
func (s *simulation) unleash(d time.Duration) {
	c := &chaos{simulation: s, Rand: s.random, until: s.clock.Now().Add(d)}
	s.between = c.meddle
	for _, m := range s.runners {
		m.between = c.meddle
	}
	for _, t := range troubles {
		if t.name == "node" {
			t.hourly *= float64(len(s.nodes)) / 200
		}
		c.again(t)
	}
}

// again lets a trouble begin after a while, and then again.
func (c *chaos) again(t trouble) {
	wait := time.Duration(c.ExpFloat64() / t.hourly * float64(time.Hour))
	if c.clock.Now().Add(wait).After(c.until) {
		return
	}
	c.after(wait, func() {
		t.begins(c)
		c.again(t)
	})
}

// within is a random time.
func (c *chaos) within(least, most time.Duration) time.Duration {
	return least + time.Duration(c.Int64N(int64(most-least)))
}

func (c *chaos) node() *machine { return c.nodes[c.IntN(len(c.nodes))] }

func (c *chaos) policyName() string { return modelPolicies[c.IntN(len(modelPolicies))].name }

func (c *chaos) crash() {
	m := c.node()
	c.tell("%s crashes", m.ID())
	m.Fail(c.clock.Now())
}

// storm takes down many at once; some of them come up by themselves.
func (c *chaos) storm() {
	role, share := c.node().role, 10+c.IntN(80)
	c.tell("a storm over %d%% of %s", share, role)
	for _, m := range c.nodes {
		if m.role != role || c.IntN(100) >= share {
			continue
		}
		m.Fail(c.clock.Now().Add(c.within(0, 40*time.Second)))
		if c.IntN(3) > 0 {
			c.after(c.within(time.Minute, 20*time.Minute), func() { m.Start(c.clock.Now()) })
		}
	}
}

// stubborn makes the steps of a node not help, or for a short while.
func (c *chaos) stubborn() {
	m := c.node()
	step := []simulated.Step{
		{},
		{Exit: 3, Output: "no such thing"},
		{Takes: 2 * time.Hour},
		{Takes: 5 * time.Second, Helps: true, HelpsAfter: 90 * time.Second},
		{Takes: 10 * time.Second, Helps: true, FailsAfter: 70 * time.Second},
		{Takes: 10 * time.Second, Helps: true, HelpsAfter: 5 * time.Second, Fate: simulated.KillsScript},
		{Takes: 20 * time.Second, Fate: simulated.CrashesNode},
	}[c.IntN(7)]
	c.tell("%s is stubborn: %+v", m.ID(), step)
	m.behave(step)
	m.Fail(c.clock.Now())
	c.after(c.within(10*time.Minute, 2*time.Hour), func() { m.behave(simulated.Step{Helps: true, Takes: time.Second}) })
}

func (c *chaos) reboot() {
	m := c.node()
	boot := simulated.Boot{Takes: c.within(20*time.Second, 4*time.Minute), Starts: c.IntN(2) == 0, After: c.within(0, 3*time.Minute)}
	c.tell("%s goes down: %+v", m.ID(), boot)
	m.SetBoot(simulated.Boot{Takes: boot.Takes, Starts: true, After: boot.After, Refused: c.IntN(4) == 0})
	m.goDown(boot)
}

func (c *chaos) disconnect() {
	m := c.node()
	until := c.within(time.Minute, 30*time.Minute)
	if c.IntN(2) == 0 {
		agent := []simulated.Agent{simulated.Mute, simulated.Silent}[c.IntN(2)]
		c.tell("the agent of %s no longer answers (%d)", m.ID(), agent)
		m.setAgent(agent)
		c.after(until, func() { m.setAgent(simulated.Answering) })
		return
	}
	connection := []ssmlocal.Connection{
		ssmlocal.Absent, ssmlocal.ConnectionLost, ssmlocal.Undeliverable, ssmlocal.UndeliverableRan,
	}[c.IntN(4)]
	c.tell("%s is not connected (%d)", m.ID(), connection)
	m.connect(connection)
	c.after(until, func() { m.connect(ssmlocal.Online) })
}

func (c *chaos) hold() {
	m := c.node()
	v := []*simulated.Verdict{
		{Health: v1alpha1.HealthHeld, Reason: process.ReasonHoldFile, Message: "held"},
		{Health: v1alpha1.HealthHeld, Reason: process.ReasonUnitMasked, Message: "masked"},
		{Health: v1alpha1.HealthUnknown, Reason: process.ReasonNodeDiskFull, Message: "no room"},
		{Health: v1alpha1.HealthUnknown, Reason: process.ReasonMissingTool, Message: "no ps"},
	}[c.IntN(4)]
	c.tell("%s is %s (%s)", m.ID(), v.Health, v.Reason)
	m.tell(v)
	if c.IntN(2) == 0 {
		m.Fail(c.clock.Now())
	}
	c.after(c.within(time.Minute, time.Hour), func() { m.tell(nil) })
}

func (c *chaos) stopInOrder() {
	m := c.node()
	c.tell("%s is stopped in order", m.ID())
	m.Stop(c.clock.Now())
	c.after(c.within(time.Minute, 40*time.Minute), func() { m.Start(c.clock.Now()) })
}

func (c *chaos) turnClock() {
	m := c.node()
	m.setSkew(c.within(-110*time.Second, 110*time.Second))
}

// restartAgent stops an agent for a while; it takes up what it had when it starts again.
func (c *chaos) restartAgent() {
	m := c.node()
	if m.away {
		return
	}
	c.tell("the agent of %s restarts", m.ID())
	m.away = true
	c.server.StopAgent(m.ID(), ssmlocal.ScriptsGoOn)
	c.after(c.within(5*time.Second, 10*time.Minute), func() {
		m.away = false
		c.server.StartAgent(m.ID())
	})
}

// replay makes an agent run a recovery again that it had before, maybe long ago.
func (c *chaos) replay() {
	var old []*attempted
	for _, a := range c.oracle.attempts {
		// A document has nothing in it that could refuse.
		if a.commandID != "" && a.Step.Document == nil && c.clock.Now().Sub(a.OpenTime.Time) < 100*time.Minute {
			old = append(old, a)
		}
	}
	if len(old) == 0 {
		return
	}
	slices.SortFunc(old, compareAttempted)
	a := old[c.IntN(len(old))]
	c.tell("the agent of %s runs %v again", a.InstanceID, a)
	m := c.byID[string(a.InstanceID)]
	if c.IntN(2) == 0 {
		m.Fail(c.clock.Now())
	}
	// A node that is off has no agent, and its server has dropped the command by then, or the agent does it later.
	_ = c.server.Replay(m.ID(), a.commandID)
}
