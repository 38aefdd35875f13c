// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import "slices"

// recoveriesInRow is how many recoveries are served before something else that waits.
const recoveriesInRow = 3

// strides is how far a call moves its priority back in the order of the others: half of the calls are for results, and a
// quarter each for confirming and for probing, while all of them wait.
var strides = [priorities]int{PriorityResults: 1, PriorityConfirm: 2, PriorityProbe: 2}

// waiter waits for a call to be allowed.
type waiter struct {
	priority Priority
	// served is closed when it is.
	served chan struct{}
}

// turns says who is next. Recoveries go first, but after some of them in a row one other call is let through, so that a row of
// recoveries ends in results and not in the dark: a recovery that waits alone waits for one other call at most. The others share
// what is left by stride scheduling, in which nobody starves. Within one priority it is first come, first served.
type turns struct {
	waiting [priorities][]*waiter
	// row counts the recoveries that were served while others waited.
	row int
	// passes is how far each priority has come, and pass how far the one that was last served had.
	passes [priorities]int
	pass   int
}

func (t *turns) join(w *waiter) { t.waiting[w.priority] = append(t.waiting[w.priority], w) }

// leave takes a waiter out, and reports whether it was still waiting.
func (t *turns) leave(w *waiter) bool {
	n := slices.Index(t.waiting[w.priority], w)
	if n >= 0 {
		t.waiting[w.priority] = slices.Delete(t.waiting[w.priority], n, n+1)
	}
	return n >= 0
}

// any reports whether anybody waits.
func (t *turns) any() bool {
	return slices.ContainsFunc(t.waiting[:], func(waiting []*waiter) bool { return len(waiting) > 0 })
}

// next takes out the one whose turn it is; nil when nobody waits.
func (t *turns) next() *waiter {
	p, others := t.nextOther()
	switch recovery := len(t.waiting[PriorityRecovery]) > 0; {
	case recovery && others && t.row < recoveriesInRow:
		t.row++
		p = PriorityRecovery
	case others:
		t.row = 0
		t.pass = max(t.passes[p], t.pass)
		t.passes[p] = t.pass + strides[p]
	case recovery:
		p = PriorityRecovery
	default:
		return nil
	}
	first := t.waiting[p][0]
	t.waiting[p] = slices.Delete(t.waiting[p], 0, 1)
	return first
}

// nextOther is whose turn it is besides recoveries, if anybody waits.
func (t *turns) nextOther() (next Priority, waits bool) {
	for p := PriorityRecovery + 1; p < priorities; p++ {
		if len(t.waiting[p]) > 0 && (!waits || max(t.passes[p], t.pass) < max(t.passes[next], t.pass)) {
			next, waits = p, true
		}
	}
	return next, waits
}
