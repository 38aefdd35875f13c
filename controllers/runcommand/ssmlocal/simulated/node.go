// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"sync"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// Agent is how the agent of a node deals with commands.
type Agent int

const (
	// Answering runs them and answers.
	Answering Agent = iota
	// Mute runs them and never answers.
	Mute
	// Silent takes them, runs nothing and never answers.
	Silent
)

// Node is a Linux node with one process that is watched, which runs at first. Unless it is told otherwise, steps help at
// once, and a reboot takes 40 s and starts the process 5 s later. Its methods may be called at the same time.
//
// What the node is like (its agent, what steps do on it) holds for all that begins from then on. What happens to it happens
// at a time on the server's clock, which may be still to come; what is told for a time that is over happens now.
//
// A report is made up when its script starts: it knows what is scheduled by then, but nothing that is made to happen to the
// node while it runs. A watch is different: it sees whatever happens while it is in flight. The node itself is as it should
// be at every time.
type Node struct {
	id     string
	ledger *Ledger

	mu sync.Mutex
	// now is the state at the start of the last execution, and changes are what has been scheduled from then on.
	now     state
	changes []change
	lock    lock
	// ran are the recoveries of which there is a marker.
	ran map[string]*plan
	// watch is the last one that has stayed on the node, until it is known to have ended.
	watch *watch

	agent     Agent
	verdict   *Verdict
	lookTakes time.Duration
	step      func(Effect) Step
	evidence  func(command string) Evidence
	reboot    Boot
}

// New makes a node that has booted at a time on the server's clock. Effects are recorded in the ledger, which nodes may share.
func New(id string, booted time.Time, ledger *Ledger) *Node {
	return &Node{
		id: id, ledger: ledger,
		now:      state{at: booted, booted: booted, boot: 1, process: Running},
		ran:      map[string]*plan{},
		step:     func(Effect) Step { return Step{Helps: true} },
		evidence: func(string) Evidence { return Evidence{} },
		reboot:   Boot{Takes: 40 * time.Second, Starts: true, After: 5 * time.Second},
	}
}

// ID is the instance id.
func (n *Node) ID() string { return n.id }

// Runner runs commands on the node. The clock of the node is the one that the server gives it (SetClockSkew).
func (n *Node) Runner() ssmlocal.Scripted { return n.run }

// SetAgent sets how the agent deals with commands.
func (n *Node) SetAgent(a Agent) {
	defer n.locked()()
	n.agent = a
}

// SetLookTakes sets how long each look at the process takes.
func (n *Node) SetLookTakes(d time.Duration) {
	defer n.locked()()
	n.lookTakes = d
}

// SetBoot sets what comes of reboots that are ordered on the node, and of steps that crash it.
func (n *Node) SetBoot(b Boot) {
	defer n.locked()()
	n.reboot = b
}

// Tell makes the node give a verdict, whatever the process is like, until Untell. Where in the scripts it is given follows
// from its reason: a hold file, for example, means nothing to the looks after a step.
func (n *Node) Tell(v Verdict) {
	defer n.changing(time.Time{})()
	n.verdict = &v
}

// Hold makes the node Held for a reason, until Untell.
func (n *Node) Hold(reason string) {
	n.Tell(Verdict{Health: v1alpha1.HealthHeld, Reason: reason, Message: "held by the simulation"})
}

// Untell ends Tell and Hold.
func (n *Node) Untell() {
	defer n.changing(time.Time{})()
	n.verdict = nil
}

// Fail crashes the process at a time.
func (n *Node) Fail(at time.Time) { n.happens(at, turn(Crashed)) }

// Stop stops the process in order at a time.
func (n *Node) Stop(at time.Time) { n.happens(at, turn(Stopped)) }

// Start starts the process at a time, as an operator would.
func (n *Node) Start(at time.Time) { n.happens(at, turn(Running)) }

// GoDown takes the node down at a time, and it comes up again as told. What scripts had not begun to do by then is not done.
// The server learns of it by Fleet.Connect.
func (n *Node) GoDown(at time.Time, b Boot) {
	defer n.changing(at)()
	n.schedule(change{at: at, apply: goDown(b)})
	for _, p := range n.ran {
		if p.acts.After(at) {
			n.undo(p)
		}
	}
}

// Seize lets a recovery of another uid hold the node's lock from a time on, for so long.
func (n *Node) Seize(at time.Time, uid string, d time.Duration) {
	defer n.changing(at)()
	n.lock.take(n.stateAt(at), uid, int64(d/time.Second))
}

// Process is what has become of the process at a time.
func (n *Node) Process(at time.Time) Process {
	defer n.locked()()
	return n.stateAt(at).process
}

// Up tells whether the process runs at a time.
func (n *Node) Up(at time.Time) bool { return n.Process(at) == Running }

// Off tells whether the node is off at a time.
func (n *Node) Off(at time.Time) bool {
	defer n.locked()()
	return n.stateAt(at).off
}

// BootID is the boot id at a time; while the node is off, that of the next boot.
func (n *Node) BootID(at time.Time) string {
	defer n.locked()()
	return n.bootID(n.stateAt(at).boot)
}

// LockedBy is the uid of the recovery that holds the node's lock at a time, with a remark when it is for a reboot, or empty.
func (n *Node) LockedBy(at time.Time) string {
	defer n.locked()()
	if !n.lock.engaged(n.stateAt(at)) {
		return ""
	}
	return n.lock.owner
}

// Watched tells whether a watch has its place on the node at a time, as far as that is known now.
func (n *Node) Watched(at time.Time) bool {
	defer n.locked()()
	return n.watched(at)
}

// Ran tells whether the node has the marker of a recovery at a time.
func (n *Node) Ran(uid string, at time.Time) bool {
	defer n.locked()()
	return n.marked(uid, at)
}

func (n *Node) marked(uid string, at time.Time) bool {
	p := n.ran[uid]
	return p != nil && !p.acts.After(at)
}

func (n *Node) locked() (unlock func()) {
	n.mu.Lock()
	return n.mu.Unlock
}

// changing lets the node change from a time on; zero is now.
func (n *Node) changing(at time.Time) (unlock func()) {
	n.mu.Lock()
	watch := n.watch
	return func() {
		if watch != nil {
			watch.forecast.Changed(at)
		}
		n.mu.Unlock()
	}
}

func (n *Node) happens(at time.Time, apply func(*state)) {
	defer n.changing(at)()
	n.schedule(change{at: at, apply: apply})
}

// stateAt is how the node is at a time, as far as that is known now.
func (n *Node) stateAt(at time.Time) state {
	s := n.now
	s.advance(n.changes, at)
	return s
}

// run plays an execution from its start to its end.
func (n *Node) run(e ssmlocal.Execution) ssmlocal.Outcome {
	defer n.changing(e.Start)()
	if n.watch != nil {
		n.watch.reach(e.Start)
	}
	n.changes = n.now.advance(n.changes, e.Start)
	if n.agent == Silent || n.now.off {
		return ssmlocal.Outcome{NoAnswer: true}
	}
	r := &run{
		node: n, execution: e, now: n.now.at, limit: e.Start.Add(e.Timeout), plan: &plan{boot: n.now.boot},
	}
	o, err := r.play()
	if err != nil {
		return ssmlocal.Outcome{ExitCode: exitNotRunnable, Stderr: err.Error()}
	}
	o.NoAnswer = n.agent == Mute
	return o
}

// play runs what the execution brings. The error is that of a script of ours that cannot be read.
func (r *run) play() (o ssmlocal.Outcome, err error) {
	if !isOurs(r.execution.Script) {
		r.document()
		return r.outcome(), nil
	}
	if r.script, err = parse(r.execution.Script); err != nil {
		return o, err
	}
	r.plan.uid = r.script.parameters["SR_UID"]
	switch {
	case r.script.recovery:
		r.recover()
	case r.script.watch:
		if w := r.watch(); w != nil {
			return w.outcome(), nil
		}
	default:
		r.probe()
	}
	return r.outcome(), nil
}
