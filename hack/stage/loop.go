// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

const (
	// most is how many rounds of passes at one moment there may be.
	most = 40
	// mostIdle is how many moments in a row, each less than a second after the other, may bring passes and nothing else.
	mostIdle = 5
)

// item is an object that is to be reconciled.
type item struct {
	policy bool
	types.NamespacedName
}

// enqueue lets an object be reconciled at a time, or earlier when that was asked for already.
func (s *Stage) enqueue(i item, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, queued := s.due[i]; !queued || at.Before(before) {
		s.due[i] = at
	}
}

// Next is when something is due; zero when nothing is.
func (s *Stage) Next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for _, at := range s.due {
		next = earlier(next, at)
	}
	for _, r := range s.readers {
		next = earlier(next, r.at)
	}
	return next
}

// earlier is the earlier one of two times of which the zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// Step sets the clock to the next moment at which something is due, unless that is now or over already, and does all that is.
// It reports whether there was anything within d.
func (s *Stage) Step(d time.Duration) bool {
	s.t.Helper()
	next := s.Next()
	if next.IsZero() || next.Sub(s.Clock.Now()) > d {
		return false
	}
	if next.After(s.Clock.Now()) {
		s.Clock.SetTime(next)
	}
	s.Turn()
	return true
}

// Run lets so much time pass, in at most so many steps; it reports whether they sufficed.
func (s *Stage) Run(d time.Duration, steps int) bool {
	s.t.Helper()
	end := s.Clock.Now().Add(d)
	for range steps {
		if !s.Step(end.Sub(s.Clock.Now())) {
			s.Clock.SetTime(end)
			return true
		}
	}
	return false
}

// Turn does all that is due now. That has to come to an end.
func (s *Stage) Turn() {
	s.t.Helper()
	before, passes := s.news, 0
	for range most {
		due := s.take()
		if len(due) == 0 && !s.readable() {
			s.rest(before, passes)
			return
		}
		passes += len(due)
		for _, i := range due {
			s.reconcile(i)
		}
		if s.controllers.Background != nil {
			s.controllers.Background(s.ctx)
		}
		s.read()
	}
	s.t.Fatalf("the controllers do not come to rest at %v (a hot loop): %v", s.Clock.Now(), s.take())
}

// take takes out what is due, in an order that is always the same.
func (s *Stage) take() []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []item
	for i, at := range s.due {
		if !at.After(s.Clock.Now()) {
			due = append(due, i)
			delete(s.due, i)
		}
	}
	slices.SortFunc(due, func(a, b item) int {
		if a.policy != b.policy {
			return map[bool]int{false: -1, true: 1}[a.policy]
		}
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return due
}

// reconcile makes one pass. Neither controller leaves its next pass to the growing pauses of a queue.
func (s *Stage) reconcile(i item) {
	s.t.Helper()
	reconciler := s.controllers.Remediations
	if i.policy {
		reconciler = s.controllers.Policies
	}
	if reconciler == nil {
		return
	}
	result, err := reconciler.Reconcile(s.ctx, ctrl.Request{NamespacedName: i.NamespacedName})
	if err != nil {
		s.t.Fatalf("a pass over %v failed: %v", i.NamespacedName, err)
	}
	if result.RequeueAfter < 0 {
		s.t.Fatalf("a pass over %v asks for another one in %v", i.NamespacedName, result.RequeueAfter)
	}
	if result.RequeueAfter > 0 {
		s.enqueue(i, s.Clock.Now().Add(result.RequeueAfter))
	} else if s.unfinished(i) {
		s.t.Fatalf("nobody looks at %v again", i.NamespacedName)
	}
}

// unfinished reports whether there is something left to do about an object.
func (s *Stage) unfinished(i item) bool {
	if i.policy {
		policy := &v1alpha1.RemediationPolicy{}
		return s.look(i, policy) && policy.DeletionTimestamp.IsZero()
	}
	remediation := &v1alpha1.Remediation{}
	return s.look(i, remediation) && decide.ResultOf(remediation) == v1alpha1.ResultRunning
}

// readable reports whether it is time for a reader.
func (s *Stage) readable() bool {
	for _, r := range s.readers {
		if !r.at.IsZero() && !r.at.After(s.Clock.Now()) {
			return true
		}
	}
	return false
}

// read lets the readers read for which it is time.
func (s *Stage) read() {
	now := s.Clock.Now()
	for _, r := range s.readers {
		if !r.at.IsZero() && !r.at.After(now) {
			r.region.Step(s.ctx)
		}
		r.at = time.Time{}
		if wait := r.region.Wait(); wait > 0 {
			r.at = now.Add(wait)
		}
	}
}

// rest checks that passes which do nothing do not come one after the other.
func (s *Stage) rest(before, passes int) {
	s.t.Helper()
	now := s.Clock.Now()
	switch {
	case passes == 0:
		return
	case s.news > before:
		s.idle = 0
		return
	case now.Sub(s.idleTime) >= time.Second:
		s.idle = 0
	}
	s.idle, s.idleTime = s.idle+1, now
	if s.idle > mostIdle {
		s.t.Fatalf("%d passes in a row did nothing, and the next one is to come at once; it is %v", s.idle, now)
	}
}
