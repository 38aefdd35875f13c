// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestPrunable(t *testing.T) {
	current := func(a Attempt) Attempt {
		a.Current = true
		return a
	}
	recovered := v1alpha1.ResultRecovered
	tests := map[string]struct {
		limit    int32
		attempts map[string][]Attempt
		want     []string
	}{
		"nothing below the limit": {
			limit: 2, attempts: map[string][]Attempt{"i-1": {ended(1, 1, 0, recovered, 90000), ended(2, 1, 0, recovered, 80000)}},
		},
		"the oldest go first": {
			limit: 1, attempts: map[string][]Attempt{
				"i-1": {named("b", ended(1, 1, 0, recovered, 90000)), named("d", ended(2, 1, 0, recovered, 70000))},
				"i-2": {named("a", ended(1, 1, 0, recovered, 95000)), named("c", ended(2, 1, 0, recovered, 80000))},
			},
			want: []string{"a", "b", "c"},
		},
		"what counts within the window stays": {
			limit: 1, attempts: map[string][]Attempt{
				"i-1": {named("a", ended(1, 1, 0, recovered, 3000)), named("b", ended(2, 1, 0, recovered, 2000))},
			},
		},
		"what does not count goes, but the newest stays until its backoff is over": {
			limit: 1, attempts: map[string][]Attempt{
				"i-1": {
					named("a", ended(1, 1, 0, v1alpha1.ResultWithheld, 300)), named("b", ended(2, 1, 0, v1alpha1.ResultWithheld, 200)),
					named("c", ended(3, 1, 0, v1alpha1.ResultWithheld, 100)),
				},
			},
			want: []string{"a", "b"},
		},
		"of the present spec those stay that tell whether it helps": {
			limit: 1, attempts: map[string][]Attempt{
				"i-1": {named("a", current(ended(1, 1, 0, recovered, 90000))), named("b", current(ended(2, 1, 0, recovered, 80000)))},
				"i-2": {named("c", current(ended(1, 1, 0, recovered, 70000))), named("d", current(ended(2, 1, 0, recovered, 60000)))},
				"i-3": {named("e", current(ended(1, 1, 0, recovered, 50000))), named("f", current(ended(2, 1, 0, recovered, 40000)))},
			},
			want: []string{"a"},
		},
		"of those that ended at the same time the ones stay that are looked at": {
			limit: 1, attempts: map[string][]Attempt{
				"i-1": {named("f", current(ended(1, 1, 0, recovered, 90000)))}, "i-2": {named("e", current(ended(1, 1, 0, recovered, 90000)))},
				"i-3": {named("d", current(ended(1, 1, 0, recovered, 90000)))}, "i-4": {named("c", current(ended(1, 1, 0, recovered, 90000)))},
				"i-5": {named("b", current(ended(1, 1, 0, recovered, 90000)))}, "i-6": {named("a", current(ended(1, 1, 0, recovered, 90000)))},
			},
			want: []string{"f"},
		},
		"a running one never goes": {
			limit: 1, attempts: map[string][]Attempt{"i-1": {running()}, "i-2": {running()}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := defaults()
			spec.History.Limit = test.limit
			NewWithT(t).Expect(Prunable(noon, spec, withAttempts(test.attempts))).To(Equal(test.want))
		})
	}
}

// withAttempts are healthy instances.
func withAttempts(byInstance map[string][]Attempt) []Instance {
	var instances []Instance
	for id, attempts := range byInstance {
		instances = append(instances, Instance{ID: id, State: State{Health: v1alpha1.HealthHealthy}, Attempts: attempts})
	}
	return instances
}

func TestLeastTTL(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha1.RemediationPolicySpec)
		want   int32
	}{
		"as long as five attempts take, three an hour": {func(*v1alpha1.RemediationPolicySpec) {}, 2*3600 + 600},
		"within one window":                            {func(s *v1alpha1.RemediationPolicySpec) { s.Limits.Attempts = 5 }, 3600 + 600},
		"until the incident has ended":                 {func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.StableSeconds = 86400 }, 86400},
		"a year at most": {func(s *v1alpha1.RemediationPolicySpec) {
			s.Limits.Attempts, s.Limits.StopAfterIneffective, s.Limits.WindowSeconds = 1, 1000, 604800
		}, 31_536_000},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := defaults()
			test.change(spec)
			NewWithT(t).Expect(LeastTTL(spec)).To(Equal(test.want))
		})
	}
}

func TestPrunableKeepsTheLastAttemptWhereTheProcessIsDown(t *testing.T) {
	spec := defaults()
	spec.History.Limit = 1
	still := down("i-1", 90000, named("a", ended(1, 1, 0, v1alpha1.ResultFailed, 90000)), named("b", ended(2, 2, 1, v1alpha1.ResultFailed, 80000)))
	gone := Instance{ID: "i-2", Attempts: []Attempt{named("c", ended(1, 1, 0, v1alpha1.ResultFailed, 85000))}}
	NewWithT(t).Expect(Prunable(noon, spec, []Instance{still, gone})).To(Equal([]string{"a", "c"}))
}

func named(name string, a Attempt) Attempt {
	a.Name = name
	return a
}
