// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// tape turns the bytes of the fuzzer into choices. After its end every choice is the first one.
type tape []byte

func (t *tape) below(n int) int {
	if len(*t) == 0 {
		return 0
	}
	next := (*t)[0]
	*t = (*t)[1:]
	return int(next) % n
}

func (t *tape) coin() bool { return t.below(2) == 1 }

// addTapes gives the fuzzer tapes to begin with, always the same ones.
func addTapes(f *testing.F, add func(data []byte)) {
	random := rand.NewChaCha8([32]byte{})
	add(nil)
	for range 5000 {
		data := make([]byte, 50+random.Uint64()%300)
		_, err := random.Read(data)
		if err != nil {
			f.Fatal(err)
		}
		add(data)
	}
}

func choose[T any](t *tape, of ...T) T { return of[t.below(len(of))] }

// around is a time near noon, or zero.
func (t *tape) around() time.Time {
	if t.below(8) == 7 {
		return time.Time{}
	}
	return noon.Add(time.Duration(t.below(256)-240) * choose(t, time.Second, time.Minute, time.Microsecond))
}

var results = []v1alpha1.Result{
	v1alpha1.ResultRecovered, v1alpha1.ResultIneffective, v1alpha1.ResultFailed, v1alpha1.ResultTimedOut, v1alpha1.ResultLost,
	v1alpha1.ResultNotNeeded, v1alpha1.ResultWithheld, v1alpha1.ResultWithdrawn, v1alpha1.ResultNotDelivered,
	v1alpha1.ResultObserved, "OfAnotherVersion",
}

// spec is one that the schema admits, and has a place for what it does not.
func (t *tape) spec() *v1alpha1.RemediationPolicySpec {
	spec := defaults()
	spec.Limits.Attempts = int32(1 + t.below(4))
	spec.Limits.WindowSeconds = choose[int32](t, 3600, 60, 604800)
	spec.Limits.BackoffSeconds = choose[int32](t, 60, 1, 86400)
	spec.Limits.BackoffMaxSeconds = max(spec.Limits.BackoffSeconds, choose[int32](t, 600, 1, 86400))
	spec.Limits.StopAfterIneffective = int32(1 + t.below(5))
	spec.Limits.MaxConcurrent = t.limit()
	spec.Limits.MaxUnhealthy = t.limit()
	spec.Probe.FailureThreshold = int32(1 + t.below(3))
	spec.Recovery.Steps = spec.Recovery.Steps[:1+t.below(3)]
	spec.Recovery.StableSeconds = choose[int32](t, 600, 1, 604800)
	spec.History.Limit = int32(1 + t.below(6))
	return spec
}

func (t *tape) limit() *intstr.IntOrString {
	return choose(t, new(intstr.FromInt32(int32(1+t.below(32)))), new(intstr.FromString(fmt.Sprintf("%d%%", 1+t.below(100)))), nil,
		new(intstr.FromString("no number")))
}

// attempts are those of one instance: of any state, and as another version, a restored backup or a clock that was set may
// have left them. A claim is the last.
func (t *tape) attempts(id string) []Attempt {
	var attempts []Attempt
	sequence := int64(0)
	for n := range t.below(5) {
		sequence += choose[int64](t, 1, 7, 1<<40)
		a := Attempt{
			Name: fmt.Sprint(id, "-", n), Sequence: sequence, Number: int32(1 + t.below(5)), Step: int32(t.below(8)),
			Result: v1alpha1.ResultRunning, Current: t.coin(),
		}
		if t.below(8) > 0 {
			a.Result, a.EndTime, a.Void = choose(t, results...), t.around(), t.coin()
		}
		attempts = append(attempts, a)
	}
	if t.below(8) == 7 {
		attempts = append(attempts, Attempt{
			Name: id + "-claim", Sequence: sequence + 1, Result: v1alpha1.ResultRunning,
			NotAfter: noon.Add(time.Minute), Current: true,
		})
	}
	return attempts
}

func (t *tape) instance(id string) Instance {
	return Instance{ID: id, Attempts: t.attempts(id), Pending: t.below(16) == 15, State: State{
		Health: choose(t, v1alpha1.HealthUnhealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthUnhealthy,
			v1alpha1.HealthHealthy, v1alpha1.HealthHeld, v1alpha1.HealthUnknown, "", "Sick"),
		Reason:   choose(t, "ProcessNotRunning", ReasonNotProbed, ReasonConfirming),
		Failures: choose[int32](t, 3, 3, 3, 2, 1, 0), FirstFailure: t.around(), DownTime: t.around(),
		Spell: Spell{t.around(), t.around()},
		Last:  Observation{ProbeTime: noon.Add(-time.Duration(t.below(100)) * time.Second)},
	}}
}

func (t *tape) fleet() []Instance {
	var instances []Instance
	for n := range t.below(8) {
		instances = append(instances, t.instance(fmt.Sprintf("i-%d", n)))
	}
	return instances
}

// pauseOf is the backoff in the simplest words: it doubles with each attempt, up to its most.
func pauseOf(a Attempt, l v1alpha1.LimitsSpec) time.Duration {
	pause := int64(l.BackoffSeconds) << max(0, min(a.Number-1, 30))
	return time.Duration(min(pause, int64(l.BackoffMaxSeconds))) * time.Second
}

func holdsPlace(attempts []Attempt, l v1alpha1.LimitsSpec) bool {
	last, tried := newest(attempts)
	healed := last.Result == v1alpha1.ResultRecovered || last.Result == v1alpha1.ResultNotNeeded
	pausing := tried && !healed && !last.Void && last.EndTime.Add(pauseOf(last, l)).After(noon)
	return pausing || slices.ContainsFunc(attempts, Attempt.Running)
}

// tally counts what the limits look at.
type tally struct {
	// acts is what was decided, places what of maxConcurrent is taken already, and down who is.
	acts, places, down int
	// underway are attempts of the present spec, and proven whether any of them has helped.
	underway int
	proven   bool
}

func (c *tally) add(i Instance, limits v1alpha1.LimitsSpec) {
	if holdsPlace(i.Attempts, limits) {
		c.places++
	}
	if i.State.Health == v1alpha1.HealthUnhealthy {
		c.down++
	}
	for _, a := range i.Attempts {
		c.proven = c.proven || a.Current && !a.Void && a.Result == v1alpha1.ResultRecovered
		if a.Current && !a.Void && a.Running() {
			c.underway++
		}
	}
}

// FuzzFleet decides on arbitrary facts, and holds the decisions against what must hold whatever these are.
func FuzzFleet(f *testing.F) {
	addTapes(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		g, tape, count := NewWithT(t), tape(data), tally{}
		spec, instances := tape.spec(), tape.fleet()
		targets := choose(&tape, len(instances), 100, 0)
		forbidden := choose(&tape, nil, nil, nil, &Wait{Reason: v1alpha1.ReasonStopped, Message: "no"})
		decisions := Fleet(noon, spec, targets, instances, forbidden)

		turned := slices.Clone(instances)
		slices.Reverse(turned)
		g.Expect(Fleet(noon, spec, targets, turned, forbidden)).To(Equal(decisions), "whatever the order of the facts")
		byID := map[string]Decision{}
		for _, d := range decisions {
			g.Expect(byID).NotTo(HaveKey(d.InstanceID), "one decision for each")
			byID[d.InstanceID] = d
		}
		for _, i := range instances {
			count.add(i, spec.Limits)
			d, decided := byID[i.ID]
			g.Expect(decided).To(Equal(i.State.Health != v1alpha1.HealthHealthy && i.State.Health != ""), i.ID)
			if decided && d.Act != nil {
				count.acts++
				g.Expect(d.Wait).To(BeNil())
				mayAct(g, spec, i)
				isNext(g, spec, i, d.Act)
			} else if decided {
				tells(g, d.Wait)
			}
		}
		if count.acts == 0 {
			return
		}
		g.Expect(forbidden).To(BeNil())
		g.Expect(count.places + count.acts).To(BeNumerically("<=", MaxConcurrent(spec.Limits.MaxConcurrent, targets)))
		g.Expect(count.down).To(BeNumerically("<=", MaxUnhealthy(spec.Limits.MaxUnhealthy, targets)))
		if !count.proven {
			g.Expect(count.underway+count.acts).To(BeNumerically("<=", spec.Limits.StopAfterIneffective), "they may turn out not to help")
		}
	})
}

// tells asserts that a wait says why, and until when if the clock ends it.
func tells(g *WithT, wait *Wait) {
	g.Expect(wait).NotTo(BeNil())
	g.Expect(wait.Reason).NotTo(BeEmpty())
	g.Expect(wait.Message).NotTo(BeEmpty())
	g.Expect(wait.Until.IsZero() || wait.Until.After(noon)).To(BeTrue(), "until %v", wait.Until)
}

// isNext asserts that an attempt is the one that follows.
func isNext(g *WithT, spec *v1alpha1.RemediationPolicySpec, i Instance, act *Act) {
	last, _ := newest(i.Attempts)
	g.Expect(act.Sequence).To(Equal(last.Sequence + 1))
	g.Expect(act.Number).To(BeNumerically(">=", 1))
	g.Expect(act.Step).To(And(BeNumerically(">=", 0), BeNumerically("<", len(spec.Recovery.Steps))))
}

// mayAct asserts that nothing forbids to recover an instance.
func mayAct(g *WithT, spec *v1alpha1.RemediationPolicySpec, i Instance) {
	g.Expect(i.State.Health).To(Equal(v1alpha1.HealthUnhealthy))
	g.Expect(i.State.Failures).To(BeNumerically(">=", spec.Probe.FailureThreshold))
	g.Expect(i.State.Last.ProbeTime).To(BeTemporally(">=", noon.Add(-70*time.Second)), "on fresh evidence only")
	counted := 0
	for n, a := range i.Attempts {
		last := n == len(i.Attempts)-1
		g.Expect(a.Running()).To(BeFalse(), "one attempt at a time")
		if last {
			g.Expect(i.State.Last.ProbeTime).To(BeTemporally(">=", a.EndTime), "on evidence from after it")
		}
		if last && !a.Void {
			g.Expect(a.EndTime.Add(pauseOf(a, spec.Limits))).To(BeTemporally("<=", noon), "after the backoff")
		}
		if !a.Void && a.Result.CountsAsAttempt() && a.EndTime.Add(seconds(spec.Limits.WindowSeconds)).After(noon) {
			counted++
		}
	}
	g.Expect(counted).To(BeNumerically("<", spec.Limits.Attempts))
}

// FuzzPrunable asks for what may go, and holds that against what the limits still look at.
func FuzzPrunable(f *testing.F) {
	addTapes(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		g, tape := NewWithT(t), tape(data)
		spec, instances, all, finished := tape.spec(), tape.fleet(), map[string]Attempt{}, 0
		for _, i := range instances {
			for _, a := range i.Attempts {
				all[a.Name] = a
				if !a.Running() {
					finished++
				}
			}
		}
		surplus := Prunable(noon, spec, instances)
		g.Expect(len(surplus)).To(BeNumerically("<=", max(0, finished-int(spec.History.Limit))))
		for _, name := range surplus {
			a := all[name]
			g.Expect(a.Running()).To(BeFalse())
			g.Expect(a.counts() && a.EndTime.Add(seconds(spec.Limits.WindowSeconds)).After(noon)).To(BeFalse(), "it still counts")
		}
		g.Expect(slices.Compact(slices.Sorted(slices.Values(surplus)))).To(HaveLen(len(surplus)), "each once")
	})
}

// FuzzBreaker looks at the breaker as it was recorded, whatever that says.
func FuzzBreaker(f *testing.F) {
	addTapes(f, func(data []byte) {
		f.Add(data, int64(0), int64(0), int32(0))
		f.Add(data, int64(1), int64(-60*(len(data)%3)-1), int32(3))
	})
	f.Fuzz(func(t *testing.T, data []byte, opened, below int64, limit int32) {
		g, tape := NewWithT(t), tape(data)
		spec, instances := tape.spec(), tape.fleet()
		var recorded *v1alpha1.BreakerStatus
		if opened != 0 {
			recorded = &v1alpha1.BreakerStatus{OpenTime: metav1.NewMicroTime(time.Unix(opened, 0)), Limit: limit}
		}
		if opened != 0 && below != 0 {
			recorded.BelowTime = new(metav1.NewMicroTime(noon.Add(time.Duration(below) * time.Second)))
		}
		before, down := recorded.DeepCopy(), count(instances).down
		most := MaxUnhealthy(spec.Limits.MaxUnhealthy, len(instances))
		g.Expect(most).To(BeNumerically(">=", 1))
		got := Breaker(noon, spec, len(instances), instances, recorded)
		g.Expect(recorded).To(Equal(before), "a fact is not changed")
		switch {
		case down > most:
			g.Expect(got).NotTo(BeNil())
			g.Expect(got.BelowTime).To(BeNil())
		case recorded == nil:
			g.Expect(got).To(BeNil())
		case got == nil:
			g.Expect(recorded.BelowTime).NotTo(BeNil())
			g.Expect(noon.Sub(recorded.BelowTime.Time)).To(BeNumerically(">=", 60*time.Second), "two rounds later")
		}
	})
}

// FuzzIneffective looks at the attempts with any record of an earlier look.
func FuzzIneffective(f *testing.F) {
	addTapes(f, func(data []byte) { f.Add(data, int64(len(data)%3), int64(len(data)%7)-3) })
	f.Fuzz(func(t *testing.T, data []byte, generation, reset int64) {
		g, tape := NewWithT(t), tape(data)
		policy, instances := &v1alpha1.RemediationPolicy{}, tape.fleet()
		policy.Spec, policy.Generation = *tape.spec(), 1
		if generation != 0 {
			policy.Status.Ineffective = &v1alpha1.IneffectiveStatus{Generation: generation, Time: metav1.NewMicroTime(noon), Attempts: 3}
		}
		if reset != 0 {
			policy.Status.ResetTime = new(metav1.NewMicroTime(noon.Add(time.Duration(reset) * time.Second)))
		}
		policy.Status.Ineffective = Ineffective(noon, policy, instances)
		no := Forbidden(noon, policy, Surroundings{})
		g.Expect(no != nil).To(Equal(policy.Status.Ineffective != nil))
		if no != nil {
			g.Expect(no.Reason).To(Equal(v1alpha1.ReasonRecoveryIneffective))
			g.Expect(policy.Status.Ineffective.Generation).To(Equal(policy.Generation))
		}
		before := policy.Status.DeepCopy()
		if reset <= 0 {
			g.Expect(Ineffective(noon, policy, instances)).To(Equal(before.Ineffective), "the second look brings no news")
		}
	})
}
