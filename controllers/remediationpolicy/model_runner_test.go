// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const (
	// failedRetry is how long after an error a Remediation is tried again.
	failedRetry = time.Second
	// hotLoop is how many rounds of work at one moment are one that never ends.
	hotLoop = 200
)

// runner is one replica as its manager would run it: whatever has become due is done, at the moment to which the clock was
// set. It takes no time.
type runner struct {
	ctx    context.Context
	clock  *clocktesting.FakeClock
	view   *view
	region *runcommand.Region
	// workers is how many Remediations are reconciled at a time.
	workers int

	prober       *Prober
	policies     *Reconciler
	remediations *remediation.Reconciler

	// between, when it is set, is called when policies were reconciled, and what they have opened was not yet.
	between func(*runner)

	// step is when the tracker is stepped next; zero while it sleeps. It is not stepped more often than pace: not before rest.
	step, rest time.Time
	pace       time.Duration
	// deaf is until when the view takes in nothing, and frozen until when nothing is done at all.
	deaf, frozen time.Time

	mu  sync.Mutex
	due map[item]time.Time
	// passes and failures count the passes over policies, and errors of passes.
	passes, failures int
}

// item is an object that is to be reconciled.
type item struct {
	policy bool
	types.NamespacedName
}

// newRunner starts a replica that knows nothing yet.
func (s *simulation) newRunner() *runner {
	config := aws.Config{
		Region: location.Region, BaseEndpoint: aws.String(s.server.URL()),
		Credentials:      credentials.NewStaticCredentialsProvider("id", "secret", ""),
		RetryMaxAttempts: 1,
	}
	w := writer{Client: cluster.Client, journal: s.journal, fault: s.apiFault}
	m := &runner{ctx: s.ctx, clock: s.clock, view: newView(w), workers: s.workers, pace: s.pace, between: s.between, due: map[item]time.Time{}}
	regions := runcommand.NewRegions(config, s.clock, runcommand.BudgetOptions{})
	s.faultlessly(func() { s.must(regions.FindAccount(s.ctx, location.Region)) })
	m.region = regions.Get(location)
	m.prober = NewProber(regions, s.clock, func(key types.NamespacedName) { m.enqueue(item{true, key}, s.clock.Now()) })
	live := &counted{Reader: cluster.Client, journal: s.journal}
	m.policies = &Reconciler{
		Client: m.view, Live: live, Events: unheard{}, Clock: s.clock, Regions: regions, Namespace: s.home, Prober: m.prober,
	}
	m.remediations = &remediation.Reconciler{
		Client: m.view, Live: live, Events: unheard{}, Clock: s.clock, Regions: regions, Namespace: s.home,
		Notify: func(key types.NamespacedName) { m.enqueue(item{false, key}, s.clock.Now()) },
	}
	m.hear(m.view.start())
	s.runners = append(s.runners, m)
	return m
}

// unheard is a recorder of events that nobody reads.
type unheard struct{ events.EventRecorder }

func (unheard) Eventf(_, _ runtime.Object, _, _, _, _ string, _ ...any) {}

// counted is a reader whose reads are counted.
type counted struct {
	client.Reader
	journal *journal
}

func (c *counted) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	c.journal.count("get", into)
	return c.Reader.Get(ctx, key, into, options...)
}

func (c *counted) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	c.journal.count("list", &v1alpha1.Remediation{})
	return c.Reader.List(ctx, into, options...)
}

func (m *runner) enqueue(i item, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, queued := m.due[i]; !queued || at.Before(before) {
		m.due[i] = at
	}
}

// hear enqueues what the watches of the controllers would.
func (m *runner) hear(told []news) {
	now := m.clock.Now()
	for _, n := range told {
		switch o := n.object.(type) {
		case *v1alpha1.RemediationPolicy:
			if n.before == nil || n.gone || o.Generation != n.before.GetGeneration() ||
				!maps.Equal(o.Annotations, n.before.GetAnnotations()) {
				m.enqueue(item{true, client.ObjectKeyFromObject(o)}, now)
			}
		case *v1alpha1.Remediation:
			m.hearAttempt(n, o, now)
		default:
			m.mu.Lock()
			for i := range m.due {
				if i.policy {
					m.due[i] = now
				}
			}
			m.mu.Unlock()
		}
	}
}

func (m *runner) hearAttempt(n news, o *v1alpha1.Remediation, now time.Time) {
	appearance := n.before == nil || n.gone
	if appearance || o.Generation != n.before.GetGeneration() {
		m.enqueue(item{false, client.ObjectKeyFromObject(o)}, now)
	}
	if appearance || resultChanged.Update(event.UpdateEvent{ObjectOld: n.before, ObjectNew: o}) {
		for _, request := range policyOf(m.ctx, o) {
			m.enqueue(item{true, request.NamespacedName}, now)
		}
	}
}

// next is when there is something to do.
func (m *runner) next() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.step
	for _, at := range m.due {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, until := range []time.Time{m.deaf, m.frozen} {
		if until.After(m.clock.Now()) && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	if m.frozen.After(next) {
		return m.frozen
	}
	return next
}

// work does all that is due, and reports whether it came to an end.
func (m *runner) work() (ended bool) {
	now := m.clock.Now()
	if m.frozen.After(now) {
		return true
	}
	for range hotLoop {
		if !m.deaf.After(now) {
			m.hear(m.view.catchUp())
		}
		remediations, policies := m.take(now)
		if len(remediations)+len(policies) == 0 && (m.step.IsZero() || m.step.After(now)) {
			return true
		}
		m.reconcileAll(remediations)
		for _, key := range policies {
			m.passes++
			m.reconcile(item{true, key})
		}
		if len(policies) > 0 && m.between != nil {
			m.between(m)
		}
		m.prober.beginQueued(m.ctx)
		m.readCommands(now)
	}
	return false
}

// readCommands steps the tracker when that is due.
func (m *runner) readCommands(now time.Time) {
	if !m.step.IsZero() && !m.step.After(now) {
		m.region.Step(m.ctx)
		m.rest = now.Add(m.pace)
	}
	m.step = time.Time{}
	if wait := m.region.Wait(); wait > 0 {
		m.step = now.Add(wait)
		if m.rest.After(m.step) {
			m.step = m.rest
		}
	}
}

// take takes out what is due, in an order that is the same in each run.
func (m *runner) take(now time.Time) (remediations, policies []types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, at := range m.due {
		if at.After(now) {
			continue
		}
		delete(m.due, i)
		if i.policy {
			policies = append(policies, i.NamespacedName)
		} else {
			remediations = append(remediations, i.NamespacedName)
		}
	}
	slices.SortFunc(policies, func(a, b types.NamespacedName) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(remediations, func(a, b types.NamespacedName) int {
		first, second := m.view.remediation(a), m.view.remediation(b)
		if first == nil || second == nil {
			return cmp.Compare(a.Name, b.Name)
		}
		return byInstance(first, second)
	})
	return remediations, policies
}

func (m *runner) reconcileAll(keys []types.NamespacedName) {
	if m.workers <= 1 {
		for _, key := range keys {
			m.reconcile(item{false, key})
		}
		return
	}
	queue := make(chan types.NamespacedName)
	var workers sync.WaitGroup
	for range m.workers {
		workers.Go(func() {
			for key := range queue {
				m.reconcile(item{false, key})
			}
		})
	}
	for _, key := range keys {
		queue <- key
	}
	close(queue)
	workers.Wait()
}

func (m *runner) reconcile(i item) {
	request := ctrl.Request{NamespacedName: i.NamespacedName}
	var result ctrl.Result
	var err error
	if i.policy {
		result, err = m.policies.Reconcile(m.ctx, request)
	} else {
		result, err = m.remediations.Reconcile(m.ctx, request)
	}
	switch {
	case err != nil:
		m.mu.Lock()
		m.failures++
		m.mu.Unlock()
		m.enqueue(i, m.clock.Now().Add(failedRetry))
	case result.RequeueAfter > 0:
		m.enqueue(i, m.clock.Now().Add(result.RequeueAfter))
	}
}
