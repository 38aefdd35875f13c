// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"sync"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// machine is a simulated node with what the schedule has done to it, and what the oracle has seen of it.
type machine struct {
	*simulated.Node
	s    *simulation
	role string

	// connection, agent and told are how the node was set. Told is the verdict that it gives whatever its process is like.
	connection ssmlocal.Connection
	agent      simulated.Agent
	told       *simulated.Verdict
	// toldTime and skewTime are when told and the clock of the node were last changed.
	toldTime, skewTime time.Time
	// away is set while the server was told that the node is off.
	away bool

	// health is what a probe would have said at the last look, with the time since when.
	health      v1alpha1.Health
	healthSince time.Time
	// lastDown is the last look at which the process was down and a probe would have said so, lastUp that at which it ran,
	// and lastOff that at which the node was off.
	lastDown, lastUp, lastOff time.Time
	// quiet is set while commands wait for its agent, and quietTime is when they last began to.
	quiet     bool
	quietTime time.Time
	// joinTime is when the inventory last began to list it, zero when it always did.
	joinTime time.Time
	// starts are when steps have started the process, or will have; by uid.
	mu     sync.Mutex
	starts map[string]time.Time
	temper func(simulated.Effect) simulated.Step
}

// addNodes adds nodes of a role, which is their tag.
func (s *simulation) addNodes(role string, count int) {
	fleet, err := simulated.NewFleet(s.server, simulated.FleetOptions{
		Nodes: count, First: len(s.nodes), Tags: map[string]string{"Role": role}, Booted: s.began.Add(-time.Hour), Ledger: s.ledger,
	})
	s.must(err)
	for _, n := range fleet.Nodes() {
		m := &machine{
			Node: n, s: s, role: role, health: v1alpha1.HealthHealthy, healthSince: s.began, starts: map[string]time.Time{},
			temper: func(simulated.Effect) simulated.Step { return simulated.Step{Helps: true} },
		}
		n.OnStep(m.step)
		s.nodes = append(s.nodes, m)
		s.byID[n.ID()] = m
	}
}

// step is what a step does on the node.
func (m *machine) step(e simulated.Effect) simulated.Step {
	m.mu.Lock()
	defer m.mu.Unlock()
	step := m.temper(e)
	if step.Helps {
		m.starts[e.UID] = e.Time.Add(step.HelpsAfter)
	}
	return step
}

// behave sets what steps do from now on.
func (m *machine) behave(step simulated.Step) {
	m.behaveBy(func(simulated.Effect) simulated.Step { return step })
}

func (m *machine) behaveBy(step func(simulated.Effect) simulated.Step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.temper = step
}

// startedBy is when the step of a Remediation has started the process.
func (m *machine) startedBy(uid string) (at time.Time, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known = m.starts[uid]
	return at, known
}

// The changes of a node that can be undone. Each says what it was set to last, so that an older one does not undo it.

func (m *machine) connect(c ssmlocal.Connection) {
	if m.connection == ssmlocal.Absent && c != ssmlocal.Absent {
		m.joinTime = m.s.clock.Now()
	}
	m.connection = c
	m.s.server.SetConnection(m.ID(), c)
}

func (m *machine) setAgent(a simulated.Agent) {
	m.agent = a
	m.SetAgent(a)
}

func (m *machine) tell(v *simulated.Verdict) {
	m.told, m.toldTime = v, m.s.clock.Now()
	if v == nil {
		m.Untell()
	} else {
		m.Tell(*v)
	}
}

func (m *machine) setSkew(d time.Duration) {
	m.skewTime = m.s.clock.Now()
	m.s.server.SetClockSkew(m.ID(), d)
}

// goDown takes the node down now.
func (m *machine) goDown(b simulated.Boot) {
	now := m.s.clock.Now()
	if m.Off(now) {
		return
	}
	m.GoDown(now, b)
	m.away = true
	m.s.server.StopAgent(m.ID(), ssmlocal.ScriptsDie)
	m.s.after(b.Takes, func() {
		m.away = false
		m.s.server.StartAgent(m.ID())
	})
}

// look takes in how the node is.
func (m *machine) look(now time.Time) {
	health := m.truth(now)
	if health != m.health {
		m.health, m.healthSince = health, now
	}
	if m.Off(now) {
		m.lastOff = now
	}
	before := m.quiet
	if m.quiet = m.away || m.Off(now) || m.connection == ssmlocal.ConnectionLost; m.quiet && !before {
		m.quietTime = now
	}
	switch {
	case health == v1alpha1.HealthUnhealthy:
		m.lastDown = now
	case m.Up(now):
		m.lastUp = now
	}
}

// truth is what a probe would say of the node, for a policy that has no other wishes than the default.
func (m *machine) truth(now time.Time) v1alpha1.Health {
	switch {
	case m.connection != ssmlocal.Online, m.agent != simulated.Answering, m.away, m.Off(now):
		return v1alpha1.HealthUnknown
	case m.told != nil:
		return m.told.Health
	case m.Up(now):
		return v1alpha1.HealthHealthy
	case now.Sub(m.lastOff) < startupGrace:
		return v1alpha1.HealthHeld
	default:
		return v1alpha1.HealthUnhealthy
	}
}

// startupGrace is the default of probe.startupGraceSeconds.
const startupGrace = 300 * time.Second
