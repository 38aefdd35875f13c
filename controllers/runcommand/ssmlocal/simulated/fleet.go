// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// FleetOptions are what a Fleet is made of.
type FleetOptions struct {
	// Nodes is how many there are, and First the number of the first one, for more fleets on one server.
	Nodes, First int
	// Tags are those of every node.
	Tags map[string]string
	// Booted is when they have booted, on the server's clock.
	Booted time.Time
	// Seed decides which nodes are picked at random.
	Seed uint64
	// Ledger records effects; a new one by default.
	Ledger *Ledger
}

// Fleet is nodes on a server. Its methods may be called at the same time.
type Fleet struct {
	// Ledger has the effects on all of them.
	Ledger *Ledger

	server *ssmlocal.Server
	nodes  []*Node
	byID   map[string]*Node

	mu     sync.Mutex
	random *rand.Rand
	// stopped are the nodes of which the server was told that they are off.
	stopped map[*Node]bool
}

// ID is the instance id of the node of a number.
func ID(number int) string { return fmt.Sprintf("i-%017x", number) }

// NewFleet makes nodes and registers them on a server. It fails when the server knows one of the ids.
func NewFleet(server *ssmlocal.Server, o FleetOptions) (*Fleet, error) {
	f := &Fleet{
		Ledger: o.Ledger, server: server, byID: make(map[string]*Node, o.Nodes),
		random: rand.New(rand.NewPCG(o.Seed, 0)), stopped: map[*Node]bool{},
	}
	if f.Ledger == nil {
		f.Ledger = &Ledger{}
	}
	for number := range o.Nodes {
		n := New(ID(o.First+number), o.Booted, f.Ledger)
		if err := server.AddInstance(ssmlocal.Instance{ID: n.id, Tags: o.Tags, Runner: n.Runner()}); err != nil {
			return nil, fmt.Errorf("making a fleet: %w", err)
		}
		f.nodes = append(f.nodes, n)
		f.byID[n.id] = n
	}
	return f, nil
}

// Nodes are all nodes, in the order of their numbers.
func (f *Fleet) Nodes() []*Node { return f.nodes }

// Node is the node of an instance id, or nil.
func (f *Fleet) Node(id string) *Node { return f.byID[id] }

// Down are the nodes whose process does not run at a time.
func (f *Fleet) Down(at time.Time) []*Node {
	return f.those(func(n *Node) bool { return !n.Up(at) })
}

// Pick picks so many of the nodes that are as wanted, at random, or all when there are fewer.
func (f *Fleet) Pick(count int, wanted func(*Node) bool) []*Node {
	nodes := f.those(wanted)
	f.mu.Lock()
	f.random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	f.mu.Unlock()
	return nodes[:min(count, len(nodes))]
}

// Fail crashes the process at a time on so many nodes on which it runs, and returns these.
func (f *Fleet) Fail(at time.Time, count int) []*Node {
	nodes := f.Pick(count, func(n *Node) bool { return n.Up(at) })
	for _, n := range nodes {
		n.Fail(at)
	}
	return nodes
}

// Connect lets the server know which nodes are off at a time: their agents stop with all that they run, and start again when
// the nodes are up. A node cannot do that itself, because it runs within the server; reboots that scripts have ordered need no
// Connect. Call it after GoDown, and from time to time.
func (f *Fleet) Connect(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		off := n.Off(at)
		switch {
		case off && !f.stopped[n]:
			f.stopped[n] = true
			f.server.StopAgent(n.id, ssmlocal.ScriptsDie)
		case !off && f.stopped[n]:
			delete(f.stopped, n)
			f.server.StartAgent(n.id)
		}
	}
}

func (f *Fleet) those(wanted func(*Node) bool) []*Node {
	var nodes []*Node
	for _, n := range f.nodes {
		if wanted(n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
