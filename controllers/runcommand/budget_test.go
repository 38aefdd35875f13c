// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"
)

// queue is a Budget with many that wait for it, in a bubble in which it is known when all of them wait.
type queue struct {
	*WithT
	t      *testing.T
	clock  *clocktesting.FakeClock
	budget *Budget
	meter  *counts

	mu     sync.Mutex
	served []string
}

// inQueue runs a test with a Budget whose bucket is empty.
func inQueue(t *testing.T, perSecond float64, test func(*queue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{WithT: NewWithT(t), t: t, clock: clocktesting.NewFakeClock(noon), meter: newCounts()}
		q.budget = NewBudget(q.clock, BudgetOptions{PerSecond: perSecond, Meter: q.meter})
		for range burst(perSecond) {
			q.Expect(q.budget.Wait(t.Context(), PriorityProbe)).To(Succeed())
		}
		test(q)
		q.Expect(q.budget.State().Waiting).To(BeZero())
		q.Expect(q.clock.HasWaiters()).To(BeFalse(), "nobody keeps the time when nobody waits")
	})
}

// wait begins to wait, as the last in the queue.
func (q *queue) wait(ctx context.Context, name string, p Priority) {
	go func() {
		err := q.budget.Wait(ctx, p)
		q.mu.Lock()
		defer q.mu.Unlock()
		if err != nil {
			name += " gave up"
		}
		q.served = append(q.served, name)
	}()
	synctest.Wait()
}

// step lets the time pass, and returns who was served then.
func (q *queue) step(d time.Duration) []string {
	q.clock.Step(d)
	synctest.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	served := q.served
	q.served = nil
	return served
}

func TestAnIdleBudgetPassesAtOnce(t *testing.T) {
	g, clk := NewWithT(t), clocktesting.NewFakeClock(noon)
	budget := NewBudget(clk, BudgetOptions{PerSecond: 10})
	for range 5 {
		g.Expect(budget.Wait(t.Context(), PriorityProbe)).To(Succeed())
	}
	clk.Step(100 * time.Millisecond)
	g.Expect(budget.Wait(t.Context(), PriorityProbe)).To(Succeed())
	g.Expect(clk.HasWaiters()).To(BeFalse(), "no timer was needed")
	g.Expect(budget.State()).To(Equal(BudgetState{PerSecond: 10}))
}

func TestABudgetWithoutALimit(t *testing.T) {
	g, clk := NewWithT(t), clocktesting.NewFakeClock(noon)
	budget := NewBudget(clk, BudgetOptions{})
	for range 1000 {
		g.Expect(budget.Wait(t.Context(), PriorityProbe)).To(Succeed())
		budget.end(budget.begin(), OutcomeThrottled)
	}
	state := budget.State()
	g.Expect(fmt.Sprint(state.PerSecond, state.Throttled)).To(Equal("+Inf false"))
}

func TestBudgetServesByPriority(t *testing.T) {
	inQueue(t, 10, func(q *queue) {
		q.wait(q.t.Context(), "probe 1", PriorityProbe)
		q.wait(q.t.Context(), "probe 2", PriorityProbe)
		q.wait(q.t.Context(), "results", PriorityResults)
		q.wait(q.t.Context(), "confirm", PriorityConfirm)
		q.Expect(q.budget.State().Waiting).To(Equal([priorities]int{0, 1, 1, 2}))
		q.Expect(q.step(99 * time.Millisecond)).To(BeEmpty())
		q.wait(q.t.Context(), "recovery", PriorityRecovery)
		q.Expect(q.step(time.Millisecond)).To(Equal([]string{"recovery"}), "the last that came")
		q.Expect(q.step(100 * time.Millisecond)).To(Equal([]string{"results"}))
		q.Expect(q.step(200*time.Millisecond)).To(ConsistOf("confirm", "probe 1"), "late, but no call was lost")
		q.Expect(q.step(100 * time.Millisecond)).To(Equal([]string{"probe 2"}))
		q.Expect(q.meter.waits).To(HaveKeyWithValue(PriorityRecovery, []time.Duration{time.Millisecond}))
		q.Expect(q.meter.waits).To(HaveKeyWithValue(PriorityResults, []time.Duration{200 * time.Millisecond}))
	})
}

func TestWhoGivesUpLosesNoCallAndHoldsUpNobody(t *testing.T) {
	inQueue(t, 1, func(q *queue) {
		first, giveUpFirst := context.WithCancel(q.t.Context())
		second, giveUpSecond := context.WithCancel(q.t.Context())
		q.wait(first, "first", PriorityResults) // It keeps the time for the others.
		q.wait(second, "second", PriorityResults)
		q.wait(q.t.Context(), "third", PriorityResults)
		q.wait(q.t.Context(), "fourth", PriorityProbe)
		giveUpFirst()
		q.Expect(q.step(0)).To(Equal([]string{"first gave up"}))
		giveUpSecond()
		q.Expect(q.step(0)).To(Equal([]string{"second gave up"}))
		q.Expect(q.step(time.Second)).To(Equal([]string{"third"}))
		q.Expect(q.step(time.Second)).To(Equal([]string{"fourth"}))
	})
}

func TestACallThatComesTooLateIsHandedOn(t *testing.T) {
	inQueue(t, 1, func(q *queue) {
		ctx, giveUp := context.WithCancel(q.t.Context())
		q.wait(ctx, "first", PriorityRecovery)
		q.wait(q.t.Context(), "second", PriorityProbe)
		// Both at once: whichever of the two it sees first, it makes no call.
		giveUp()
		q.Expect(q.step(time.Second)).To(ConsistOf("first gave up", "second"))
	})
}

func TestAContextThatHasEndedGetsNoCall(t *testing.T) {
	g := NewWithT(t)
	ctx, end := context.WithCancel(t.Context())
	end()
	err := NewBudget(clocktesting.NewFakeClock(noon), BudgetOptions{}).Wait(ctx, PriorityRecovery)
	g.Expect(errors.Is(err, context.Canceled)).To(BeTrue())
	g.Expect(MayBeAccepted(err)).To(BeFalse(), "nothing was sent")
	g.Expect(Classify(err)).To(Equal(Throttled))
	g.Expect(Words(err)).To(Equal("the AWS budget allowed no call in time"))
}

func TestAReservedCallIsMadeOnceAndByItsOwnBudget(t *testing.T) {
	inQueue(t, 1, func(q *queue) {
		q.clock.Step(time.Second)
		call, err := q.budget.Reserve(WithPriority(q.t.Context(), PriorityRecovery))
		q.Expect(err).NotTo(HaveOccurred())
		q.Expect(q.meter.waits).To(HaveKey(PriorityRecovery))
		reserved := call.In(q.t.Context())

		other := NewBudget(q.clock, BudgetOptions{PerSecond: 1})
		q.Expect(other.Wait(reserved, PriorityResults)).To(Succeed())
		q.Expect(other.State().Waiting).To(BeZero())
		q.Expect(q.budget.Wait(reserved, PriorityResults)).To(Succeed(), "it has waited for this")
		q.wait(reserved, "the next", PriorityResults)
		q.Expect(q.step(999 * time.Millisecond)).To(BeEmpty())
		q.Expect(q.step(time.Millisecond)).To(Equal([]string{"the next"}))
	})
}

// counts is a Meter that remembers.
type counts struct {
	mu    sync.Mutex
	calls map[string]int
	waits map[Priority][]time.Duration
}

func newCounts() *counts {
	return &counts{calls: map[string]int{}, waits: map[Priority][]time.Duration{}}
}

func (c *counts) Called(location Location, operation string, outcome Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[fmt.Sprint(location.Region, " ", operation, " ", outcome)]++
}

func (c *counts) Waited(priority Priority, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits[priority] = append(c.waits[priority], d)
}
