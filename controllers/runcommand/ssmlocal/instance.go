// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Connection says whether Systems Manager reaches an instance, and how it tells when it does not.
type Connection int

const (
	// Online is a node whose agent answers.
	Online Connection = iota
	// Absent is a node that was stopped or terminated: it is not in the inventory, and a SendCommand that names it is
	// answered InvalidInstanceId.
	Absent
	// ConnectionLost is a node whose agent is gone: the inventory says so, and commands stay Pending until they time out or
	// the node is Online again.
	ConnectionLost
	// Undeliverable is a node whose commands end as Undeliverable at once.
	Undeliverable
	// UndeliverableRan is a node whose commands end as Undeliverable at once, without a start time, although it runs them.
	UndeliverableRan
)

// Instance is a managed node.
type Instance struct {
	// ID is `i-` or `mi-` and hexadecimal digits.
	ID string
	// Tags are what targets select by.
	Tags map[string]string
	// Runner runs the commands.
	Runner Runner
	// PlatformType is Linux (the default) or Windows.
	PlatformType string
	// PlatformName defaults to Debian GNU/Linux.
	PlatformName string
	// AgentVersion defaults to 3.3.0.0.
	AgentVersion string
	// ComputerName defaults to a name made of the id.
	ComputerName string
	// IPAddress defaults to 127.0.0.1.
	IPAddress string
	// Connection is the state at the start.
	Connection Connection
	// ClockSkew is how far the node's clock is ahead of the server's. Only Scripted runners see it.
	ClockSkew time.Duration
}

// instance is an Instance with its agent's state.
type instance struct {
	Instance
	registered time.Time
	lastPing   time.Time
	// waiting are the invocations that were dispatched while the node did not answer.
	waiting []*invocation
	agent
	reboots int
}

// AddInstance adds a node. It fails when the id is malformed or taken, or when there is no runner.
func (s *Server) AddInstance(i Instance) error {
	if !instanceID.MatchString(i.ID) {
		return fmt.Errorf("adding instance %q: the id must match %s", i.ID, instanceID)
	}
	if i.Runner == nil {
		return fmt.Errorf("adding instance %s: it needs a runner", i.ID)
	}
	defer s.lock()()
	if _, taken := s.instances[i.ID]; taken {
		return fmt.Errorf("adding instance %s: the id is taken", i.ID)
	}
	i.Tags = maps.Clone(i.Tags)
	s.instances[i.ID] = &instance{Instance: i.withDefaults(), registered: s.now, lastPing: s.now}
	at, _ := slices.BinarySearch(s.ids, i.ID)
	s.ids = slices.Insert(s.ids, at, i.ID)
	return nil
}

// RemoveInstance takes a node away for good. What it has running goes on, and is reported.
func (s *Server) RemoveInstance(id string) {
	defer s.lock()()
	if n := s.instances[id]; n != nil {
		n.Connection = Absent
	}
	delete(s.instances, id)
	s.ids = slices.DeleteFunc(s.ids, func(other string) bool { return other == id })
}

// SetConnection changes how a node is reached. Commands that waited for it are delivered when it is Online. An id that is
// not known is ignored.
func (s *Server) SetConnection(id string, c Connection) {
	defer s.lock()()
	n := s.instances[id]
	if n == nil {
		return
	}
	if n.answers() {
		n.lastPing = s.now
	}
	n.Connection = c
	s.deliverWaiting(n)
}

// SetClockSkew sets how far the clock of a node is ahead of the server's, for executions from now on. An id that is not
// known is ignored.
func (s *Server) SetClockSkew(id string, skew time.Duration) {
	defer s.lock()()
	if n := s.instances[id]; n != nil {
		n.ClockSkew = skew
	}
}

// answers says whether the agent is there and connected.
func (n *instance) answers() bool {
	return n.Connection == Online && !n.stopped
}

// Reboots tells how often commands made a node reboot (exit status 194).
func (s *Server) Reboots(id string) int {
	defer s.lock()()
	if n := s.instances[id]; n != nil {
		return n.reboots
	}
	return 0
}

func (i Instance) withDefaults() Instance {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&i.PlatformType, "Linux")
	set(&i.PlatformName, "Debian GNU/Linux")
	set(&i.AgentVersion, "3.3.0.0")
	set(&i.ComputerName, "ip-"+i.ID[len(i.ID)-8:]+".local")
	set(&i.IPAddress, "127.0.0.1")
	return i
}
