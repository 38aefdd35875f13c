// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func effect(node int, uid string, after time.Duration) Effect {
	return Effect{InstanceID: ID(node), UID: uid, Time: at(after)}
}

func TestEffectsOfARemediation(t *testing.T) {
	g, l := NewWithT(t), &Ledger{}
	g.Expect(l.Most()).To(BeZero())
	a, b, c := effect(1, "a", 0), effect(2, "b", 0), effect(1, "c", second)
	c.Healthy = true
	for _, e := range []Effect{a, b, c} {
		l.record(e)
	}
	g.Expect(l.Most()).To(Equal(1))
	g.Expect(l.Repeated()).To(BeEmpty())
	again := l.record(effect(1, "a", time.Hour))
	g.Expect(l.Most()).To(Equal(2))
	g.Expect(l.Repeated()).To(Equal(map[string][]Effect{"a": {a, *again}}))
	g.Expect(l.Of("a")).To(Equal([]Effect{a, *again}))
	g.Expect(l.On(ID(1))).To(Equal([]Effect{a, c, *again}))
	g.Expect(l.OnHealthy()).To(Equal([]Effect{c}))
	l.withdraw(again)
	g.Expect(l.Effects()).To(Equal([]Effect{a, b, c}))
	l.Forget(at(second))
	g.Expect(l.Effects()).To(Equal([]Effect{c}))
}

func TestStepsOfADocumentAreNoRepetition(t *testing.T) {
	g, l := NewWithT(t), &Ledger{}
	for _, step := range []string{"stop", "start"} {
		e := effect(1, "a", 0)
		e.DocumentStep = step
		l.record(e)
	}
	g.Expect(l.Most()).To(Equal(1))
	g.Expect(l.Repeated()).To(BeEmpty())
	most, _ := l.MostWithin(time.Hour)
	g.Expect(most).To(Equal(1))
	e := effect(1, "a", time.Minute)
	e.DocumentStep = "start"
	l.record(e)
	g.Expect(l.Repeated()["a"]).To(HaveLen(2))
}

func TestMostWithin(t *testing.T) {
	g, l := NewWithT(t), &Ledger{}
	most, on := l.MostWithin(time.Hour)
	g.Expect(most).To(BeZero())
	g.Expect(on).To(BeEmpty())
	for _, e := range []Effect{
		effect(1, "a", 0), effect(1, "b", 59*time.Minute),
		effect(2, "e", 70*time.Minute-1), effect(2, "c", 0), effect(2, "d", 10*time.Minute), effect(2, "f", 69*time.Minute),
	} {
		l.record(e)
	}
	most, on = l.MostWithin(time.Hour)
	g.Expect(most).To(Equal(3), "d, f and e")
	g.Expect(on).To(Equal(ID(2)))
	most, _ = l.MostWithin(time.Hour - 1)
	g.Expect(most).To(Equal(2), "e is too late for d")
	most, _ = l.MostWithin(time.Second)
	g.Expect(most).To(Equal(1))
}
