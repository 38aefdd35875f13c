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

func TestARecoveryThatDoesNotHelpIsStopped(t *testing.T) {
	const (
		recovered   = v1alpha1.ResultRecovered
		ineffective = v1alpha1.ResultIneffective
	)
	tests := map[string]struct {
		// results are those of one instance each, the oldest first; five more are down and were not tried.
		results []v1alpha1.Result
		stale   bool
		wantAct int
		want    string
	}{
		"at first no more than the limit": {wantAct: 5, want: v1alpha1.BlockedUnproven},
		"some that did not help leave room for fewer": {
			results: []v1alpha1.Result{ineffective, v1alpha1.ResultFailed, v1alpha1.ResultTimedOut},
			wantAct: 2, want: v1alpha1.BlockedUnproven,
		},
		"what touched nothing does not count": {
			results: []v1alpha1.Result{ineffective, v1alpha1.ResultWithheld, v1alpha1.ResultNotDelivered},
			wantAct: 4, want: v1alpha1.BlockedUnproven,
		},
		"one that helped makes room for all": {
			results: []v1alpha1.Result{recovered, ineffective, ineffective}, wantAct: 9,
		},
		"as many in a row as the limit": {
			results: []v1alpha1.Result{ineffective, v1alpha1.ResultFailed, v1alpha1.ResultTimedOut, v1alpha1.ResultLost, ineffective},
			want:    v1alpha1.BlockedRecoveryIneffective,
		},
		"as many in a row since one that helped": {
			results: []v1alpha1.Result{recovered, ineffective, ineffective, ineffective, ineffective, ineffective},
			want:    v1alpha1.BlockedRecoveryIneffective,
		},
		"those of another spec do not count": {
			results: []v1alpha1.Result{ineffective, ineffective, ineffective, ineffective, ineffective},
			stale:   true, wantAct: 5, want: v1alpha1.BlockedUnproven,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			spec := defaults()
			spec.Limits.MaxConcurrent = new(intstr.FromInt32(1000))
			var instances []Instance
			for n, result := range test.results {
				a := ended(1, 1, 0, result, 5000-n)
				a.Current = !test.stale
				tried := down(fmt.Sprintf("tried-%d", n), 9000, a)
				tried.State.Health = v1alpha1.HealthHealthy
				instances = append(instances, tried)
			}
			for n := range 9 {
				instances = append(instances, down(fmt.Sprintf("new-%d", n), 100))
			}
			act := 0
			waits := map[string]bool{}
			policy := &v1alpha1.RemediationPolicy{Spec: *spec}
			policy.Status.Ineffective = Ineffective(noon, policy, instances)
			for _, d := range Fleet(noon, spec, 100, instances, Forbidden(noon, policy, Surroundings{})) {
				g.Expect(d.Act == nil).NotTo(Equal(d.Wait == nil), "either acts or waits")
				if d.Act != nil {
					act++
				} else {
					waits[d.Wait.Reason] = true
				}
			}
			g.Expect(act).To(Equal(test.wantAct))
			if test.want == "" {
				g.Expect(waits).To(BeEmpty())
			} else {
				g.Expect(waits).To(Equal(map[string]bool{test.want: true}))
			}
		})
	}
}

func TestIneffectiveOutlivesTheAttempts(t *testing.T) {
	recorded := &v1alpha1.IneffectiveStatus{Generation: 2, Time: metav1.NewMicroTime(ago(600)), Attempts: 5}
	helped := ended(1, 1, 0, v1alpha1.ResultRecovered, 60)
	helped.Current = true
	did := ended(1, 1, 0, v1alpha1.ResultIneffective, 60)
	did.Current = true
	tests := map[string]struct {
		generation int64
		reset      time.Time
		attempts   []Attempt
		want       *v1alpha1.IneffectiveStatus
	}{
		"their records are gone":     {generation: 2, want: recorded},
		"one more that did not help": {generation: 2, attempts: []Attempt{did}, want: recorded},
		"one under way that helped":  {generation: 2, attempts: []Attempt{helped}},
		"a reset since":              {generation: 2, reset: ago(10)},
		"a reset before":             {generation: 2, reset: ago(700), want: recorded},
		"another spec":               {generation: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.RemediationPolicy{Spec: *defaults()}
			policy.Generation, policy.Status.Ineffective = test.generation, recorded
			if !test.reset.IsZero() {
				policy.Status.ResetTime = new(metav1.NewMicroTime(test.reset))
			}
			NewWithT(t).Expect(Ineffective(noon, policy, []Instance{{ID: "i-1", Attempts: test.attempts}})).To(Equal(test.want))
		})
	}
}
