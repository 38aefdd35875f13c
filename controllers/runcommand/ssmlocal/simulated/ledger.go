// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"slices"
	"sync"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// Effect is one time that a step, a reboot or a document really acted on a node.
type Effect struct {
	InstanceID string
	// UID is that of the Remediation: the node's own knowledge of it for a script, and what the comment of the command says for
	// a document.
	UID       string
	CommandID string
	// Kind is why the agent ran the command.
	Kind ssmlocal.Kind
	// Action is the command of the step, or the name of the document, or Reboot.
	Action string
	// DocumentStep is the name of the document's step. Each of them is an effect of its own.
	DocumentStep string
	// Time is when it began to act, on the server's clock.
	Time time.Time
	// Healthy tells that the process ran at that time.
	Healthy bool
}

// Reboot is the Action of a reboot.
const Reboot = "reboot"

// Ledger records what has been done to nodes. The zero value is an empty one.
type Ledger struct {
	mu      sync.Mutex
	effects []*Effect
}

func (l *Ledger) record(e Effect) *Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.effects = append(l.effects, &e)
	return &e
}

// withdraw takes back what did not come about.
func (l *Ledger) withdraw(e *Effect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.effects = slices.DeleteFunc(l.effects, func(other *Effect) bool { return other == e })
}

// Effects are all, in the order in which their scripts started.
func (l *Ledger) Effects() []Effect {
	return l.those(func(*Effect) bool { return true })
}

// Of are the effects of a Remediation.
func (l *Ledger) Of(uid string) []Effect {
	return l.those(func(e *Effect) bool { return e.UID == uid })
}

// On are the effects on a node.
func (l *Ledger) On(instanceID string) []Effect {
	return l.those(func(e *Effect) bool { return e.InstanceID == instanceID })
}

// OnHealthy are the effects on a process that ran.
func (l *Ledger) OnHealthy() []Effect {
	return l.those(func(e *Effect) bool { return e.Healthy })
}

// Repeated are the effects that a Remediation had more than once: of its one step, or of the same step of its document. The
// key is the uid.
func (l *Ledger) Repeated() map[string][]Effect {
	repeated := map[string][]Effect{}
	for _, effects := range l.by(func(e *Effect) string { return e.UID + "/" + e.DocumentStep }) {
		if len(effects) > 1 {
			uid := effects[0].UID
			repeated[uid] = append(repeated[uid], effects...)
		}
	}
	return repeated
}

// Most is how often a Remediation had the same effect at most: 1 is as it should be.
func (l *Ledger) Most() int {
	most := 0
	for _, effects := range l.by(func(e *Effect) string { return e.UID + "/" + e.DocumentStep }) {
		most = max(most, len(effects))
	}
	return most
}

// MostWithin is how many Remediations acted at most on one node within any time of that length, and on which.
func (l *Ledger) MostWithin(window time.Duration) (most int, instanceID string) {
	for id, effects := range l.by(func(e *Effect) string { return e.InstanceID }) {
		if n := densest(effects, window); n > most {
			most, instanceID = n, id
		}
	}
	return most, instanceID
}

// densest is how many uids begin to act at most within any time of that length.
func densest(effects []Effect, window time.Duration) int {
	slices.SortStableFunc(effects, func(a, b Effect) int { return a.Time.Compare(b.Time) })
	seen := map[string]bool{}
	var begun []time.Time
	most, first := 0, 0
	for _, e := range effects {
		if seen[e.UID] {
			continue
		}
		seen[e.UID] = true
		begun = append(begun, e.Time)
		for e.Time.Sub(begun[first]) >= window {
			first++
		}
		most = max(most, len(begun)-first)
	}
	return most
}

// Forget drops the effects from before a time.
func (l *Ledger) Forget(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.effects = slices.DeleteFunc(l.effects, func(e *Effect) bool { return e.Time.Before(before) })
}

func (l *Ledger) those(wanted func(*Effect) bool) []Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	var effects []Effect
	for _, e := range l.effects {
		if wanted(e) {
			effects = append(effects, *e)
		}
	}
	return effects
}

func (l *Ledger) by(key func(*Effect) string) map[string][]Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	effects := map[string][]Effect{}
	for _, e := range l.effects {
		effects[key(e)] = append(effects[key(e)], *e)
	}
	return effects
}
