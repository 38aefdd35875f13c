// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// watcher is a runner of a script that runs for 50 s, unless something happens before.
type watcher struct {
	mu sync.Mutex
	// ends is after how much time, and asked how often that was asked for again, at which times.
	ends  time.Duration
	asked []time.Time
	// killed is when it was ended by others.
	killed   []time.Time
	forecast *ssmlocal.Forecast
}

func (r *watcher) run(ssmlocal.Execution) ssmlocal.Outcome {
	r.ends = 50 * time.Second
	r.forecast = &ssmlocal.Forecast{Renew: func(now time.Time) ssmlocal.Outcome {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked = append(r.asked, now)
		return r.outcome()
	}}
	o := r.outcome()
	o.Forecast = r.forecast
	return o
}

func (r *watcher) outcome() ssmlocal.Outcome {
	return ssmlocal.Outcome{
		Delay: r.ends, Stdout: fmt.Sprint("ended after ", r.ends), Killed: func(at time.Time) { r.killed = append(r.killed, at) },
	}
}

// happens changes when the script ends, and tells.
func (r *watcher) happens(at time.Time, ends time.Duration) {
	r.mu.Lock()
	r.ends = ends
	r.mu.Unlock()
	r.forecast.Changed(at)
}

func TestForecastComesTrueWhenNothingHappens(t *testing.T) {
	w, r := newWorld(t), &watcher{}
	w.add(nodeA, ssmlocal.Scripted(r.run))
	id := w.send(shell("watch", nodeA))
	w.clock.Step(49 * time.Second)
	w.Expect(w.state(id)).To(HavePrefix("InProgress"))
	w.clock.Step(time.Second)
	w.Expect(w.state(id)).To(HavePrefix("Success"))
	w.Expect(r.asked).To(BeEmpty(), "it costs nothing")
	r.happens(time.Time{}, time.Second)
	w.Expect(*w.get(id, nodeA).StandardOutputContent).To(Equal("ended after 50s"))
	w.Expect(r.asked).To(BeEmpty(), "it is over")
}

func TestForecastChanges(t *testing.T) {
	tests := map[string]struct {
		// told after 20 s that something happens at a time, from which on the script ends so late.
		at, ends time.Duration
		// asked is when the server asks again.
		asked, end time.Duration
	}{
		"now":                    {20 * time.Second, 22 * time.Second, 20 * time.Second, 22 * time.Second},
		"later":                  {30 * time.Second, 31 * time.Second, 30 * time.Second, 31 * time.Second},
		"earlier":                {5 * time.Second, 22 * time.Second, 5 * time.Second, 22 * time.Second},
		"for longer":             {20 * time.Second, 55 * time.Second, 20 * time.Second, 55 * time.Second},
		"so that it should have": {20 * time.Second, 10 * time.Second, 20 * time.Second, 20 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, r := newWorld(t), &watcher{}
			w.add(nodeA, ssmlocal.Scripted(r.run))
			start := w.clock.Now()
			id := w.send(shell("watch", nodeA))
			// Nobody has looked since.
			w.clock.Step(20 * time.Second)
			r.happens(start.Add(tt.at), tt.ends)
			w.clock.Step(tt.end - 20*time.Second - 1)
			if tt.end > 20*time.Second {
				w.Expect(w.state(id)).To(HavePrefix("InProgress"))
			}
			w.clock.Step(1)
			out := w.get(id, nodeA)
			w.Expect(*out.StandardOutputContent).To(Equal(fmt.Sprint("ended after ", tt.ends)))
			w.Expect(*out.ExecutionElapsedTime).To(Equal(fmt.Sprintf("PT%dS", tt.end/time.Second)))
			w.Expect(r.asked).To(Equal([]time.Time{start.Add(tt.asked)}))
			w.clock.Step(time.Minute)
			w.Expect(w.get(id, nodeA)).To(HaveField("StandardOutputContent", out.StandardOutputContent), "the first forecast is void")
			w.Expect(r.killed).To(BeEmpty())
		})
	}
}

func TestForecastIsToldOfNow(t *testing.T) {
	w, r := newWorld(t), &watcher{}
	w.add(nodeA, ssmlocal.Scripted(r.run))
	w.send(shell("watch", nodeA))
	w.clock.Step(20 * time.Second)
	told := w.clock.Now()
	r.happens(time.Time{}, 22*time.Second)
	w.clock.Step(20 * time.Second)
	w.Expect(w.server.Ledger()[0].End).To(Equal(told.Add(2 * time.Second)))
	w.Expect(r.asked).To(Equal([]time.Time{told}))
}

// TestForecastIsToldBeforeTheServerHasIt has something happen while the script starts.
func TestForecastIsToldBeforeTheServerHasIt(t *testing.T) {
	w, r := newWorld(t), &watcher{}
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		o := r.run(e)
		r.happens(e.Start.Add(3*time.Second), 4*time.Second)
		return o
	}))
	id := w.send(shell("watch", nodeA))
	w.clock.Step(4 * time.Second)
	w.Expect(*w.get(id, nodeA).StandardOutputContent).To(Equal("ended after 4s"))
}

// TestForecastOfWhatIsEndedByOthers asks the last outcome that was given.
func TestForecastOfWhatIsEndedByOthers(t *testing.T) {
	tests := map[string]struct {
		end   func(w *world, id string)
		after time.Duration
		want  string
	}{
		"cancelled": {func(w *world, id string) {
			_, err := w.client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &id})
			w.Expect(err).NotTo(HaveOccurred())
		}, 30 * time.Second, "Cancelled/Cancelled 137"},
		"with its node": {func(w *world, _ string) {
			w.server.StopAgent(nodeA, ssmlocal.ScriptsDie)
		}, 30 * time.Second, "InProgress/InProgress -1"},
		"at its time-out": {func(w *world, _ string) {
			w.clock.Step(30 * time.Second)
		}, 60 * time.Second, "TimedOut/ExecutionTimedOut 137"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, r := newWorld(t), &watcher{}
			w.add(nodeA, ssmlocal.Scripted(r.run))
			start := w.clock.Now()
			id := w.send(shell("watch", nodeA))
			r.happens(start.Add(10*time.Second), time.Hour)
			w.clock.Step(30 * time.Second)
			tt.end(w, id)
			w.Expect(w.invocation(id, nodeA)).To(Equal(tt.want))
			w.Expect(r.killed).To(Equal([]time.Time{start.Add(tt.after)}))
			if strings.HasPrefix(tt.want, "Cancelled") {
				w.Expect(*w.get(id, nodeA).StandardOutputContent).To(BeEmpty(), "it had not come to that yet")
			}
			r.happens(time.Time{}, time.Second)
			w.Expect(w.invocation(id, nodeA)).To(Equal(tt.want))
			w.Expect(r.asked).To(HaveLen(1))
		})
	}
}

// TestForecastsAtTheSameTime is for the race detector.
func TestForecastsAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	runners := make([]*watcher, 20)
	for i := range runners {
		runners[i] = &watcher{}
		w.add(fmt.Sprintf("i-%017x", i+1), ssmlocal.Scripted(runners[i].run))
	}
	start := w.clock.Now()
	id := w.send(shell("watch"))
	var wait sync.WaitGroup
	for i, r := range runners {
		wait.Go(func() {
			for second := range 30 {
				r.happens(start.Add(time.Duration(second)*time.Second), time.Duration(31+i)*time.Second)
			}
		})
	}
	for range 30 {
		w.clock.Step(time.Second)
		w.Expect(w.state(id)).To(HavePrefix("InProgress"))
	}
	wait.Wait()
	w.clock.Step(10 * time.Second)
	w.Expect(w.state(id)).To(Equal("InProgress/InProgress 20 10 0 0"))
	w.clock.Step(10 * time.Second)
	w.Expect(w.state(id)).To(Equal("Success/Success 20 20 0 0"))
}
