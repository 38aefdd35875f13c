// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestFleetDecidesForOneInstance(t *testing.T) {
	tests := map[string]struct {
		spec     func(*v1alpha1.RemediationPolicySpec)
		instance Instance
		wantAct  *Act
		want     Wait
	}{
		"a first failure starts at the first step": {
			instance: down("i-1", 5),
			wantAct:  &Act{Sequence: 1, Number: 1, Step: 0},
		},
		"an attempt that runs is waited for": {
			instance: down("i-1", 20, running()),
			want:     Wait{Reason: v1alpha1.BlockedInProgress, Message: "Remediation httpd-x is running"},
		},
		"the backoff after the first attempt": {
			instance: down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultIneffective, 59)),
			want: Wait{
				Reason: v1alpha1.BlockedBackoff, Until: ago(-1),
				Message: "attempt 1 ended as Ineffective; the next one waits (limits.backoffSeconds)",
			},
		},
		"after the backoff the next step of the ladder": {
			instance: down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultIneffective, 60)),
			wantAct:  &Act{Sequence: 2, Number: 2, Step: 1},
		},
		"the backoff doubles": {
			instance: down("i-1", 300, ended(1, 1, 0, v1alpha1.ResultFailed, 250), ended(2, 2, 1, v1alpha1.ResultFailed, 119)),
			want: Wait{
				Reason: v1alpha1.BlockedBackoff, Until: ago(-1),
				Message: "attempt 2 ended as Failed; the next one waits (limits.backoffSeconds)",
			},
		},
		"the backoff is bounded": {
			instance: down("i-1", 9000, ended(30, 30, 2, v1alpha1.ResultFailed, 599)),
			want: Wait{
				Reason: v1alpha1.BlockedBackoff, Until: ago(-1),
				Message: "attempt 30 ended as Failed; the next one waits (limits.backoffSeconds)",
			},
		},
		"the last step is repeated": {
			instance: down("i-1", 9000, ended(7, 7, 2, v1alpha1.ResultTimedOut, 700)),
			wantAct:  &Act{Sequence: 8, Number: 8, Step: 2},
		},
		"a ladder that became shorter": {
			spec:     func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.Steps = s.Recovery.Steps[:1] },
			instance: down("i-1", 9000, ended(3, 3, 2, v1alpha1.ResultTimedOut, 700)),
			wantAct:  &Act{Sequence: 4, Number: 4, Step: 0},
		},
		"an attempt that did not count does not move up the ladder": {
			instance: down("i-1", 300, ended(1, 1, 0, v1alpha1.ResultNotDelivered, 61)),
			wantAct:  &Act{Sequence: 2, Number: 1, Step: 0},
		},
		"every result starts the backoff": {
			instance: down("i-1", 300, ended(1, 1, 0, v1alpha1.ResultWithheld, 30)),
			want: Wait{
				Reason: v1alpha1.BlockedBackoff, Until: ago(-30),
				Message: "attempt 1 ended as Withheld; the next one waits (limits.backoffSeconds)",
			},
		},
		"down again soon after a recovery is the same incident": {
			instance: down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultRecovered, 699)),
			wantAct:  &Act{Sequence: 2, Number: 2, Step: 1},
		},
		"down all the time since an attempt that did not help is the same incident, however long": {
			instance: down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultIneffective, 9000)),
			wantAct:  &Act{Sequence: 2, Number: 2, Step: 1},
		},
		"healthy for the stable time since an attempt that did not help is a new incident": {
			instance: func() Instance {
				i := down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultIneffective, 9000))
				i.State.Spell = Spell{Start: ago(800), End: ago(100)}
				return i
			}(),
			wantAct: &Act{Sequence: 2, Number: 1, Step: 0},
		},
		"healthy mostly before the attempt does not count either": {
			instance: func() Instance {
				i := down("i-1", 8500, ended(1, 1, 0, v1alpha1.ResultIneffective, 9000))
				i.State.Spell = Spell{Start: ago(20000), End: ago(8500)}
				return i
			}(),
			wantAct: &Act{Sequence: 2, Number: 2, Step: 1},
		},
		"healthy before the attempt does not count": {
			instance: func() Instance {
				i := down("i-1", 9500, ended(1, 1, 0, v1alpha1.ResultIneffective, 9000))
				i.State.Spell = Spell{Start: ago(20000), End: ago(9500)}
				return i
			}(),
			wantAct: &Act{Sequence: 2, Number: 2, Step: 1},
		},
		"down again after the stable time is a new incident": {
			instance: down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultRecovered, 700)),
			wantAct:  &Act{Sequence: 2, Number: 1, Step: 0},
		},
		"the attempts within the window are exhausted, the successful ones too": {
			instance: down("i-1", 100,
				ended(1, 1, 0, v1alpha1.ResultRecovered, 3000), ended(2, 2, 1, v1alpha1.ResultRecovered, 2000),
				ended(3, 3, 2, v1alpha1.ResultIneffective, 1000)),
			want: Wait{
				Reason: v1alpha1.BlockedAttemptsExhausted, Until: ago(3000 - 3600),
				Message: "3 attempts within 3600 seconds (limits.attempts, limits.windowSeconds)",
			},
		},
		"a lower limit waits for as many attempts to leave the window as it takes": {
			spec: func(s *v1alpha1.RemediationPolicySpec) { s.Limits.Attempts = 1 },
			instance: down("i-1", 100,
				ended(1, 1, 0, v1alpha1.ResultRecovered, 3000), ended(2, 2, 1, v1alpha1.ResultRecovered, 2000)),
			want: Wait{
				Reason: v1alpha1.BlockedAttemptsExhausted, Until: ago(2000 - 3600),
				Message: "2 attempts within 3600 seconds (limits.attempts, limits.windowSeconds)",
			},
		},
		"what touched nothing does not count": {
			instance: down("i-1", 100,
				ended(1, 1, 0, v1alpha1.ResultNotNeeded, 3000), ended(2, 1, 0, v1alpha1.ResultWithheld, 2000),
				ended(3, 1, 0, v1alpha1.ResultWithdrawn, 1500), ended(4, 1, 0, v1alpha1.ResultNotDelivered, 1000)),
			wantAct: &Act{Sequence: 5, Number: 1, Step: 0},
		},
		"an attempt that is lost counts": {
			spec:     func(s *v1alpha1.RemediationPolicySpec) { s.Limits.Attempts = 1 },
			instance: down("i-1", 1300, ended(1, 1, 0, v1alpha1.ResultLost, 1000)),
			want: Wait{
				Reason: v1alpha1.BlockedAttemptsExhausted, Until: ago(1000 - 3600),
				Message: "1 attempts within 3600 seconds (limits.attempts, limits.windowSeconds)",
			},
		},
		"nothing is done on what was seen before the last attempt ended": {
			instance: func() Instance {
				i := down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultIneffective, 60))
				i.State.Last.ProbeTime = ago(61)
				return i
			}(),
			want: Wait{Reason: v1alpha1.BlockedAwaitingProbe, Message: "the next probe has to find the process down again"},
		},
		"nothing is done on a probe that is too old": {
			instance: func() Instance {
				i := down("i-1", 100)
				i.State.Last.ProbeTime = ago(71)
				return i
			}(),
			want: Wait{Reason: v1alpha1.BlockedAwaitingProbe, Message: "the next probe has to find the process down again"},
		},
		"after a reset the attempts before it do not count, and the ladder starts again": {
			spec: func(s *v1alpha1.RemediationPolicySpec) { s.Limits.Attempts = 1 },
			instance: func() Instance {
				last := ended(3, 3, 2, v1alpha1.ResultIneffective, 30)
				last.Void = true
				return down("i-1", 100, last)
			}(),
			wantAct: &Act{Sequence: 4, Number: 1, Step: 0},
		},
		"nothing is done while the row of failed probes is broken": {
			instance: func() Instance {
				i := down("i-1", 100)
				i.State.Failures = 1
				return i
			}(),
			want: Wait{Reason: v1alpha1.BlockedAwaitingProbe, Message: "the next probe has to find the process down again"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			spec := defaults()
			if test.spec != nil {
				test.spec(spec)
			}
			decisions := Fleet(noon, spec, 10, []Instance{test.instance}, nil)
			g.Expect(decisions).To(HaveLen(1))
			g.Expect(decisions[0].Act).To(Equal(test.wantAct))
			if test.wantAct == nil {
				g.Expect(*decisions[0].Wait).To(Equal(test.want))
			} else {
				g.Expect(decisions[0].Wait).To(BeNil())
			}
		})
	}
}

func TestFleetActsOnUnhealthyOnly(t *testing.T) {
	for name, test := range map[string]struct {
		health v1alpha1.Health
		reason string
		want   string
	}{
		"Healthy":                    {health: v1alpha1.HealthHealthy},
		"known by its attempts":      {},
		"Held":                       {v1alpha1.HealthHeld, "HoldFile", v1alpha1.BlockedHeld},
		"Unknown":                    {v1alpha1.HealthUnknown, "NoAnswer", v1alpha1.BlockedUnknown},
		"Unknown, failed once":       {v1alpha1.HealthUnknown, ReasonConfirming, v1alpha1.BlockedConfirming},
		"Unknown, not probed so far": {v1alpha1.HealthUnknown, ReasonNotProbed, v1alpha1.BlockedUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			instance := down("i-1", 100)
			instance.State.Health, instance.State.Reason = test.health, test.reason
			decisions := Fleet(noon, defaults(), 10, []Instance{instance}, nil)
			if test.want == "" {
				g.Expect(decisions).To(BeEmpty())
				return
			}
			g.Expect(decisions).To(HaveLen(1))
			g.Expect(decisions[0].Act).To(BeNil())
			g.Expect(decisions[0].Wait.Reason).To(Equal(test.want))
			g.Expect(decisions[0].Wait.Message).NotTo(BeEmpty())
		})
	}
}

func TestWhatForbidsRecoveryIsSaidFirst(t *testing.T) {
	g := NewWithT(t)
	forbidden := &Wait{Reason: v1alpha1.ReasonSilenced, Until: ago(-60)}
	backingOff := down("i-1", 100, ended(1, 1, 0, v1alpha1.ResultIneffective, 59))
	g.Expect(Fleet(noon, defaults(), 10, []Instance{backingOff}, forbidden)[0].Wait).To(Equal(forbidden))
	g.Expect(Fleet(noon, defaults(), 10, []Instance{down("i-1", 100)}, forbidden)[0].Wait).To(Equal(forbidden))
	busy := down("i-1", 100, running())
	g.Expect(Fleet(noon, defaults(), 10, []Instance{busy}, forbidden)[0].Wait.Reason).To(Equal(v1alpha1.BlockedInProgress))
}

func TestFleetKeepsToMaxConcurrent(t *testing.T) {
	many := func(n int) []Instance {
		var instances []Instance
		for i := range n {
			instances = append(instances, down(fmt.Sprintf("i-%03d", i), 100+i))
		}
		return instances
	}
	tests := map[string]struct {
		limit     intstr.IntOrString
		targets   int
		instances []Instance
		want      []string
	}{
		"those that have been down for longest come first": {
			limit: intstr.FromInt32(2), targets: 10, instances: many(5), want: []string{"i-004", "i-003"},
		},
		"a running attempt takes a place": {
			limit: intstr.FromInt32(2), targets: 10, instances: append(many(3), down("i-9", 50, running())), want: []string{"i-002"},
		},
		"an attempt that did not recover keeps its place through its backoff": {
			limit: intstr.FromInt32(1), targets: 10,
			instances: append(many(3), down("i-9", 50, ended(1, 1, 0, v1alpha1.ResultIneffective, 30))), want: nil,
		},
		"one that recovered does not": {
			limit: intstr.FromInt32(1), targets: 10,
			instances: append(many(1), down("i-9", 50, ended(1, 1, 0, v1alpha1.ResultRecovered, 30))), want: []string{"i-000"},
		},
		"one that was tried comes after those that were not": {
			limit: intstr.FromInt32(1), targets: 10,
			instances: append(many(1), down("i-9", 500, ended(1, 1, 0, v1alpha1.ResultIneffective, 90))), want: []string{"i-000"},
		},
		"and of two that were tried the one first that was left alone for longer": {
			limit: intstr.FromInt32(1), targets: 10,
			instances: []Instance{
				down("i-1", 900, ended(1, 1, 0, v1alpha1.ResultWithheld, 70)), down("i-2", 100, ended(1, 1, 0, v1alpha1.ResultWithheld, 80)),
			},
			want: []string{"i-2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			spec := defaults()
			spec.Limits.MaxConcurrent = &test.limit
			var act []string
			for _, d := range Fleet(noon, spec, test.targets, test.instances, nil) {
				g.Expect(d.Act == nil).NotTo(Equal(d.Wait == nil), "either acts or waits")
				if d.Act != nil {
					act = append(act, d.InstanceID)
				}
			}
			g.Expect(act).To(Equal(test.want))
		})
	}
}

func TestMaxConcurrent(t *testing.T) {
	tests := map[string]struct {
		limit   intstr.IntOrString
		targets int
		want    int
	}{
		"a number":                                {intstr.FromInt32(40), 100, 40},
		"a percentage is rounded up":              {intstr.FromString("10%"), 11, 2},
		"a percentage is at least one":            {intstr.FromString("1%"), 3, 1},
		"a percentage of nothing":                 {intstr.FromString("10%"), 0, 1},
		"a percentage never means more than 25":   {intstr.FromString("10%"), 10000, 25},
		"what cannot be read allows the least":    {intstr.FromString("many"), 100, 1},
		"all of a small fleet, when that is said": {intstr.FromString("100%"), 5, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(MaxConcurrent(&test.limit, test.targets)).To(Equal(test.want))
		})
	}
	NewWithT(t).Expect(MaxConcurrent(nil, 100)).To(Equal(10))
}

func TestAttemptOf(t *testing.T) {
	g := NewWithT(t)
	r := &v1alpha1.Remediation{}
	r.Name = "httpd-x"
	r.Spec.Sequence, r.Spec.Attempt, r.Spec.StepIndex = 4, 2, 1
	r.Spec.OpenTime.Time = ago(10)
	policy := &v1alpha1.RemediationPolicy{}
	policy.Generation = 2
	g.Expect(AttemptOf(r, policy)).To(Equal(Attempt{
		Name: "httpd-x", Sequence: 4, Number: 2, Step: 1, Result: v1alpha1.ResultRunning,
	}))
	g.Expect(AttemptOf(r, policy).EndTime).To(Equal(time.Time{}))
	r.Spec.PolicyRef.Generation = 2
	g.Expect(AttemptOf(r, policy).Current).To(BeTrue())
	policy.UID = "another"
	g.Expect(AttemptOf(r, policy).Current).To(BeFalse())
}

func TestAttemptOfIsVoid(t *testing.T) {
	tests := map[string]struct {
		result v1alpha1.Result
		mode   v1alpha1.Mode
		reset  time.Time
		want   bool
	}{
		"not without a reset":                     {result: v1alpha1.ResultIneffective},
		"opened before the reset":                 {result: v1alpha1.ResultIneffective, reset: ago(9), want: true},
		"opened after the reset":                  {result: v1alpha1.ResultIneffective, reset: ago(11)},
		"what runs is not, whatever was reset":    {result: v1alpha1.ResultRunning, reset: ago(9)},
		"observed, and the policy acts now":       {result: v1alpha1.ResultObserved, mode: v1alpha1.ModeEnforce, want: true},
		"observed, and the policy still observes": {result: v1alpha1.ResultObserved, mode: v1alpha1.ModeObserve},
		"done, and the policy observes now":       {result: v1alpha1.ResultFailed, mode: v1alpha1.ModeObserve},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &v1alpha1.Remediation{}
			r.Spec.OpenTime.Time = ago(10)
			r.Status.CompletionTime = new(metav1.NewMicroTime(ago(5)))
			r.Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: string(test.result),
			}}
			policy := &v1alpha1.RemediationPolicy{}
			policy.Spec.Mode = test.mode
			if !test.reset.IsZero() {
				policy.Status.ResetTime = new(metav1.NewMicroTime(test.reset))
			}
			NewWithT(t).Expect(AttemptOf(r, policy).Void).To(Equal(test.want))
		})
	}
}
