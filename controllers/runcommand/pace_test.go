// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/time/rate"
)

// service throttles as AWS does, and remembers the calls that it got.
type service struct {
	limiter *rate.Limiter
	rng     *rand.Rand
	// roundTrip is the longest time of a call.
	roundTrip time.Duration
	calls     []time.Time
	refused   int
}

// inFlight is a call under way: it arrives, and then its answer does.
type inFlight struct {
	number           int64
	arrives, answers time.Time
	arrived, refused bool
}

func (f *inFlight) next() time.Time {
	if f.arrived {
		return f.answers
	}
	return f.arrives
}

// run lets callers call at a pace as fast as they may, for some time.
func (s *service) run(p *pace, from time.Time, d time.Duration, callers int) {
	var flying []*inFlight
	part := func() time.Duration { return time.Duration(s.rng.Int64N(int64(s.roundTrip)/2)) + 1 }
	for now := from; now.Before(from.Add(d)); {
		for len(flying) < callers && p.take(now) {
			arrives := now.Add(part())
			flying = append(flying, &inFlight{number: p.begin(), arrives: arrives, answers: arrives.Add(part())})
		}
		slices.SortFunc(flying, func(a, b *inFlight) int { return a.next().Compare(b.next()) })
		wake := now.Add(p.delay(now))
		if len(flying) == 0 || (len(flying) < callers && wake.Before(flying[0].next())) {
			now = wake
			continue
		}
		first := flying[0]
		now = first.next()
		switch {
		case !first.arrived:
			first.arrived, first.refused = true, !s.limiter.AllowN(now, 1)
			s.calls = append(s.calls, now)
			continue
		case first.refused:
			s.refused++
			p.refused(first.number, now)
		default:
			p.passed(now)
		}
		flying = flying[1:]
	}
}

// busiest is the most calls that came within a time.
func (s *service) busiest(d time.Duration) int {
	most, first := 0, 0
	for n, at := range s.calls {
		for !at.Before(s.calls[first].Add(d)) {
			first++
		}
		most = max(most, n-first+1)
	}
	return most
}

func TestPaceKeepsToWhatAWSAllows(t *testing.T) {
	const limit, minutes = 5, 10
	for _, roundTrip := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond} {
		for _, callers := range []int{4, 16, 64} {
			for seed := range uint64(3) {
				t.Run(fmt.Sprint(roundTrip, callers, seed), func(t *testing.T) {
					g, p := NewWithT(t), newPace(20)
					s := service{limiter: rate.NewLimiter(limit, limit), rng: rand.New(rand.NewPCG(seed, 1)), roundTrip: roundTrip}
					s.run(&p, noon, minutes*time.Minute, callers)
					g.Expect(s.busiest(time.Minute)).To(BeNumerically("<=", 1.1*limit*60+limit), "with the calls that AWS allows at once")
					g.Expect(len(s.calls)).To(BeNumerically("<=", 1.06*limit*60*minutes))
					g.Expect(s.refused).To(BeNumerically("<=", 0.06*limit*60*minutes))
					g.Expect(len(s.calls)-s.refused).To(BeNumerically(">=", 0.9*limit*60*minutes), "no less than can be had")
				})
			}
		}
	}
}

func TestPaceFindsItsWayBack(t *testing.T) {
	g, p := NewWithT(t), newPace(20)
	s := service{limiter: rate.NewLimiter(0, 0), rng: rand.New(rand.NewPCG(1, 1)), roundTrip: 100 * time.Millisecond}
	s.run(&p, noon, 10*time.Minute, 16)
	g.Expect(p.rate()).To(Equal(leastRate), "AWS refuses everything")
	g.Expect(len(s.calls)).To(BeNumerically("<", 10*60*leastRate+60))
	s.limiter = rate.NewLimiter(100, 100)
	s.run(&p, noon.Add(10*time.Minute), 90*time.Second, 16)
	g.Expect(p.rate()).To(Equal(20.0))
}

func TestPaceIsCutOnceForAllCallsUnderWay(t *testing.T) {
	g, p := NewWithT(t), newPace(10)
	first, second := p.begin(), p.begin()
	p.refused(second, noon)
	g.Expect(p.rate()).To(Equal(10 * cutTo))
	g.Expect(p.take(noon)).To(BeFalse(), "AWS has nothing left at the moment")
	p.refused(first, noon)
	g.Expect(p.rate()).To(Equal(10*cutTo), "that is no news")
	p.refused(p.begin(), noon.Add(time.Second))
	g.Expect(p.rate()).To(BeNumerically("~", 10*cutTo*cutTo))
}

func TestPaceDoesNotGrowUnused(t *testing.T) {
	g, p := NewWithT(t), newPace(10)
	p.refused(p.begin(), noon)
	cut := p.rate()
	for n := range 100 {
		at := noon.Add(time.Duration(n+1) * time.Second)
		g.Expect(p.take(at)).To(BeTrue())
		p.begin()
		p.passed(at)
	}
	g.Expect(p.rate()).To(Equal(cut), "one call a second proves nothing about seven")
}

func TestPaceNeverGoesBeyondTheConfiguredRate(t *testing.T) {
	g, p := NewWithT(t), newPace(0.2)
	p.refused(p.begin(), noon)
	g.Expect(p.rate()).To(Equal(0.2), "less than the least there is")
	p.passed(noon)
	g.Expect(p.rate()).To(Equal(0.2))
	g.Expect(p.delay(noon)).To(Equal(5 * time.Second))
}
