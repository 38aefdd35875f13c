// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// watchBusy is what a watch says that found the place taken.
const watchBusy = "watch=busy "

// watch is a run of a watch script that stays on its node, as far as it has come for certain: up to the last look before
// something happened to the node. What comes then is a forecast, which is played on a copy.
type watch struct {
	run
	// begun is when the script did, in seconds since boot.
	begun int64
	// failures are the looks in a row that found the process down.
	failures int64
	// since is when a recovery began to excuse that the process is not healthy, in seconds since boot; nil when none does.
	since *int64
	// told is what the node was told to say when the watch had come so far.
	told *Verdict
	// ends is when it does, by the last forecast.
	ends time.Time
}

// watch does as watch.sh. It returns nil when the script does not stay.
func (r *run) watch() *watch {
	began := r.state()
	if !r.examine() {
		return nil
	}
	switch {
	case r.verdict.Health != v1alpha1.HealthHealthy:
		r.answer("")
		return nil
	case r.node.watched(r.now):
		r.answer(watchBusy)
		return nil
	}
	w := &watch{run: *r, begun: began.uptime(), told: r.node.verdict}
	w.forecast = &ssmlocal.Forecast{Renew: w.renew}
	r.node.watch = w
	return w
}

// watched tells whether the place of a watch is taken at a time.
func (n *Node) watched(at time.Time) bool {
	w := n.watch
	if w == nil || !w.ends.After(at) || w.plan.boot != n.stateAt(at).boot {
		return false
	}
	last := w.end()
	return last.now.After(at)
}

// renew is what is expected of the watch from now on.
func (w *watch) renew(now time.Time) ssmlocal.Outcome {
	defer w.node.locked()()
	w.reach(now)
	return w.outcome()
}

// reach lets the watch come to a time: what it saw before is not changed by what happens from then on. It is forgotten when
// it has ended by then, and so has given its place back.
func (w *watch) reach(to time.Time) {
	if !w.ends.After(to) {
		w.forget()
		return
	}
	told := w.node.verdict
	w.node.verdict = w.told
	defer func() { w.node.verdict, w.told = told, told }()
	for {
		next := *w
		over := next.look()
		if !next.now.Before(to) {
			return
		}
		if over {
			w.forget()
			return
		}
		next.skip(to)
		*w = next
	}
}

func (w *watch) forget() {
	if w.node.watch == w {
		w.node.watch = nil
	}
}

// end is the watch at its end, as far as that is known now.
func (w *watch) end() watch {
	last := *w
	for !last.look() {
		last.skip(last.limit)
	}
	return last
}

func (w *watch) outcome() ssmlocal.Outcome {
	last := w.end()
	w.ends = last.now
	if last.ending == byItself {
		words := ""
		if last.failures > 0 && last.verdict.Health == v1alpha1.HealthUnhealthy {
			words = fmt.Sprintf("failures=%d ", last.failures)
		}
		last.answer(words)
	}
	return last.run.outcome()
}

// skip leaves out looks before a time that find what the last one has found, because nothing happens between.
func (w *watch) skip(to time.Time) {
	s := w.state()
	if w.verdict.Health != v1alpha1.HealthHealthy || s.boot != w.plan.boot {
		return
	}
	over := s.booted.Add(time.Duration(w.begun+w.script.number("SR_WATCH")) * time.Second)
	for _, bound := range []time.Time{over, w.limit, w.node.next(s)} {
		if !bound.IsZero() && bound.Before(to) {
			to = bound
		}
	}
	if left := to.Sub(w.now) - 1; left > 0 {
		w.now = w.now.Add(left.Truncate(w.script.seconds("SR_EVERY") + w.node.lookTakes))
	}
}

// next is when something happens to the node next after a state; zero for never.
func (n *Node) next(s state) time.Time {
	next := s.starts
	for _, c := range n.changes {
		if c.at.After(s.at) && (next.IsZero() || c.at.Before(next)) {
			next = c.at
		}
	}
	return next
}

// look looks once more, after the pause, and tells whether the watch is over.
func (w *watch) look() (over bool) {
	if !w.elapse(w.script.seconds("SR_EVERY")) {
		return true
	}
	before := w.node.lock.traffic(w.state())
	if !w.examine() {
		return true
	}
	now := w.state()
	if w.verdict.Health == v1alpha1.HealthHealthy {
		w.failures, w.since = 0, nil
	} else {
		if w.excused(before, now) {
			return false
		}
		if w.verdict.Health != v1alpha1.HealthUnhealthy {
			return true
		}
		if w.failures++; w.failures >= w.script.number("SR_THRESHOLD") {
			return true
		}
	}
	return now.uptime()-w.begun >= w.script.number("SR_WATCH")
}

// excused tells whether the last look does not count, because a recovery was at work.
func (w *watch) excused(before traffic, now state) bool {
	after := w.node.lock.traffic(now)
	if !after.held && after == before {
		w.since = nil
		return false
	}
	if w.since == nil {
		w.since = new(now.uptime())
	}
	if now.uptime()-*w.since >= w.script.number("SR_PATIENCE") {
		return false
	}
	w.failures = 0
	return true
}
