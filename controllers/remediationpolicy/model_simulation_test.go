// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// simulation is a world that goes from one event to the next: what the schedule has, what the reconcilers asked for, the next
// step of a tracker. Between events nothing happens, so that a day takes minutes. The seed decides all that happens.
//
//	schedule ──> nodes, SSM, API server, replicas ──> runners work until nothing is due ──> oracle looks
//	   ^                                                                                      │
//	   └──────────────────────────── the clock is set to the next event <─────────────────────┘
type simulation struct {
	t      testing.TB
	ctx    context.Context
	seed   uint64
	random *rand.Rand
	// namespace holds the policies, and home is that of the manager.
	namespace, home string

	clock   *clocktesting.FakeClock
	began   time.Time
	server  *ssmlocal.Server
	ledger  *simulated.Ledger
	nodes   []*machine
	byID    map[string]*machine
	journal *journal
	// admin is the people who write to the API server.
	admin   writer
	runners []*runner
	between func(*runner)
	workers int
	pace    time.Duration

	schedule []happening
	// stopped is set while the kill switch is on, since stopTime.
	stopped  bool
	stopTime time.Time
	faults   faults
	oracle   *oracle
}

// happening is something that the schedule lets happen.
type happening struct {
	at time.Time
	do func()
}

// setting is what a simulation is made with.
type setting struct {
	seed uint64
	// workers is how many Remediations are reconciled at a time: with more than one the seed does not decide everything.
	workers int
	// pace is the least time between two steps of a tracker; its own by default.
	pace time.Duration
	// rampUp is what the next wave of a command waits for.
	rampUp ssmlocal.RampUp
}

func newSimulation(t testing.TB, o setting) *simulation {
	t.Helper()
	s := &simulation{
		t: t, ctx: t.Context(), seed: o.seed, random: rand.New(rand.NewPCG(o.seed, 1)), workers: o.workers, pace: o.pace,
		namespace: cluster.NewNamespace(t), home: cluster.NewNamespace(t),
		// A night with a change of the clocks in it.
		clock:  clocktesting.NewFakeClock(time.Date(2026, 3, 28, 22, 0, 0, 123456789, time.UTC)),
		ledger: &simulated.Ledger{}, byID: map[string]*machine{}, journal: newJournal(),
	}
	s.began = s.clock.Now()
	s.admin = writer{Client: cluster.Client, journal: s.journal, fault: faultless}
	s.oracle = newOracle(s)
	s.journal.told = s.oracle.written
	s.server = ssmlocal.New(ssmlocal.Options{
		Clock: s.clock, ReadLag: new(time.Duration(0)), RampUp: o.rampUp, PingLag: 5 * time.Minute, Retention: 2 * time.Hour,
		OnExecution: s.oracle.executed,
	})
	s.must(s.server.Start(""))
	t.Cleanup(func() { s.must(s.server.Close()) })
	s.server.SetFaults(s.ssmFault)
	s.noteNamespace(nil)
	return s
}

// must ends the test with an error of the harness itself.
func (s *simulation) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("seed %d, after %v: %v", s.seed, s.elapsed(), err)
	}
}

func (s *simulation) elapsed() time.Duration {
	return s.clock.Now().Sub(s.began).Round(time.Millisecond)
}

// after lets something happen so long from now.
func (s *simulation) after(d time.Duration, do func()) {
	h := happening{s.clock.Now().Add(d), do}
	at, _ := slices.BinarySearchFunc(s.schedule, h, func(a, b happening) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1
	})
	s.schedule = slices.Insert(s.schedule, at, h)
}

// run goes on for so long, or until something is wrong.
func (s *simulation) run(d time.Duration) {
	s.t.Helper()
	end := s.clock.Now().Add(d)
	for !s.oracle.failed() {
		next := s.next()
		if next.After(end) {
			break
		}
		if next.After(s.clock.Now()) {
			s.clock.SetTime(next)
		}
		s.turn()
	}
	s.oracle.report()
	s.clock.SetTime(end)
}

// turn does all that is due now.
func (s *simulation) turn() {
	now := s.clock.Now()
	for len(s.schedule) > 0 && !s.schedule[0].at.After(now) {
		due := s.schedule[0]
		s.schedule = s.schedule[1:]
		due.do()
	}
	// The server brings its own events up to now.
	_ = s.server.Calls()
	s.oracle.look()
	position := -1
	for _, m := range s.runners {
		if !m.work() {
			s.oracle.violated("replica %p: its queue does not become empty (a hot loop)", m)
		}
		if position < 0 || m.view.position < position {
			position = m.view.position
		}
	}
	s.journal.drop(max(position, 0))
	s.oracle.look()
}

// next is when something happens next.
func (s *simulation) next() time.Time {
	// Should nothing else happen at all, the oracle looks.
	next := s.clock.Now().Add(time.Hour)
	if len(s.schedule) > 0 && s.schedule[0].at.Before(next) {
		next = s.schedule[0].at
	}
	for _, m := range s.runners {
		if at := m.next(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// restart replaces a replica by one that knows nothing.
func (s *simulation) restart() {
	s.runners = s.runners[1:]
	s.newRunner()
	s.oracle.interrupted()
}

func (s *simulation) key(policy string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.namespace, Name: policy}
}

// create creates a policy.
func (s *simulation) create(name string, spec v1alpha1.RemediationPolicySpec) {
	policy := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: spec}
	s.must(s.admin.Create(s.ctx, policy))
}

// remove deletes a policy.
func (s *simulation) remove(name string) {
	if policy := s.journal.policy(s.key(name)); policy != nil {
		s.must(s.admin.Delete(s.ctx, policy.DeepCopy()))
	}
}

// change changes a policy that is there.
func (s *simulation) change(name string, change func(*v1alpha1.RemediationPolicy)) {
	policy := s.journal.policy(s.key(name))
	if policy == nil {
		return
	}
	changed := policy.DeepCopy()
	change(changed)
	s.must(s.admin.Patch(s.ctx, changed, client.MergeFrom(policy)))
}

// annotate sets an annotation of a policy; an empty value takes it away.
func (s *simulation) annotate(name, key, value string) {
	s.change(name, func(p *v1alpha1.RemediationPolicy) {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations[key] = value
		if value == "" {
			delete(p.Annotations, key)
		}
	})
}

// in is a time from now as an annotation says it.
func (s *simulation) in(d time.Duration) string {
	return s.clock.Now().Add(d).UTC().Format(time.RFC3339)
}

// silenceNamespace sets the annotations of the Namespace of the policies.
func (s *simulation) noteNamespace(annotations map[string]string) {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: s.namespace, Annotations: annotations}}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	s.journal.note(o, false)
}

func (s *simulation) silenceNamespace(until string) {
	namespace := &corev1.Namespace{}
	s.must(cluster.Client.Get(s.ctx, client.ObjectKey{Name: s.namespace}, namespace))
	namespace.Annotations = map[string]string{v1alpha1.AnnotationSilencedUntil: until}
	s.must(cluster.Client.Update(s.ctx, namespace))
	s.noteNamespace(namespace.Annotations)
}

// stop turns the kill switch on or off.
func (s *simulation) stop(on bool) {
	stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: v1alpha1.KillSwitch}}
	s.stopped = on
	if on {
		s.stopTime = s.clock.Now()
		s.must(cluster.Client.Create(s.ctx, stop))
	} else {
		s.must(cluster.Client.Delete(s.ctx, stop))
	}
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: s.home, Name: v1alpha1.KillSwitch}}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	s.journal.note(o, !on)
}

// tell writes a line of the story.
func (s *simulation) tell(format string, values ...any) {
	s.oracle.tell(fmt.Sprintf(format, values...))
}
