// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import "time"

// Fate is how a step leaves the script that runs it.
type Fate int

const (
	// Ends is a step that ends and lets the script go on.
	Ends Fate = iota
	// KillsScript is one at whose end the script is killed, which keeps the node's lock until it expires.
	KillsScript
	// CrashesNode is one at whose end the node goes down, and comes up again as SetBoot says.
	CrashesNode
)

// Step is what a step, or a step of a document, does on a node. The zero value ends at once with exit code 0 and changes
// nothing.
type Step struct {
	// Takes is how long it runs. One that takes longer than it may is ended by force.
	Takes time.Duration
	// Exit is its exit code.
	Exit int
	// Output is what it prints.
	Output string
	// Helps makes it start the process, HelpsAfter so long from when it begins. It may be over by then, but it may not
	// have been ended by force, or with its node.
	Helps      bool
	HelpsAfter time.Duration
	// FailsAfter crashes the process again, so long after it has been started; 0 for never.
	FailsAfter time.Duration
	// Fate is that of a step that is not ended by force.
	Fate Fate
}

// SetStep makes every step, and every step of a document, do the same.
func (n *Node) SetStep(s Step) {
	n.OnStep(func(Effect) Step { return s })
}

// OnStep sets what steps do. The function is called with the effect that the step is recorded as, when the script starts of
// which it is a part. It must call neither a node nor the server. A reboot asks SetBoot instead.
func (n *Node) OnStep(step func(Effect) Step) {
	defer n.locked()()
	n.step = step
}

// Evidence is what a command of the evidence comes to.
type Evidence struct {
	// Takes is how long it runs. The script ends it after 10 s.
	Takes  time.Duration
	Exit   int
	Output string
}

// OnEvidence sets what commands of the evidence come to. The function must call neither a node nor the server.
func (n *Node) OnEvidence(evidence func(command string) Evidence) {
	defer n.locked()()
	n.evidence = evidence
}

// takes is how long the step runs, and whether it is ended by force, when it may run so long.
func (s Step) takes(bound time.Duration) (d time.Duration, forced bool) {
	if s.Takes > bound {
		return bound, true
	}
	return s.Takes, false
}
