// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// opened is a Remediation of the first node.
func opened(uid string, at time.Time) *v1alpha1.Remediation {
	return &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)},
		Spec:       v1alpha1.RemediationSpec{InstanceID: v1alpha1.InstanceID(simulated.ID(0)), OpenTime: metav1.NewMicroTime(at)},
	}
}

func completed(id string, result v1alpha1.Result, second int) v1alpha1.Remediation {
	remediation := *opened(id, noon)
	remediation.Spec.InstanceID = v1alpha1.InstanceID(id)
	remediation.Status.CompletionTime = new(metav1.NewMicroTime(noon.Add(time.Duration(second) * time.Second)))
	remediation.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: string(result),
	}}
	return remediation
}

func TestOutcomes(t *testing.T) {
	node := func(n int) *simulated.Node { return simulated.New(simulated.ID(n), noon, &simulated.Ledger{}) }
	at := func(n, second int) kill { return kill{node(n), noon.Add(time.Duration(second) * time.Second)} }
	kills := []kill{at(0, 0), at(0, 100), at(1, 10), at(2, 0), at(3, 0)}
	remediations := []v1alpha1.Remediation{
		completed(simulated.ID(0), v1alpha1.ResultRecovered, 140),
		completed(simulated.ID(0), v1alpha1.ResultRecovered, 20),
		completed(simulated.ID(1), v1alpha1.ResultIneffective, 30),
		completed(simulated.ID(1), v1alpha1.ResultRecovered, 70),
		completed(simulated.ID(2), v1alpha1.ResultFailed, 30),
		*opened("running", noon),
	}
	got := outcomes(kills, remediations)
	if want := []time.Duration{20 * time.Second, 40 * time.Second, 60 * time.Second}; !slices.Equal(got.latencies, want) {
		t.Errorf("it took %v, want %v", got.latencies, want)
	}
	if got.killed != 5 || got.recovered != 3 || got.remediations != 6 {
		t.Errorf("got %+v", got)
	}
}

func TestQuantile(t *testing.T) {
	var sorted []time.Duration
	for n := range 100 {
		sorted = append(sorted, time.Duration(n+1))
	}
	for percent, want := range map[int]time.Duration{0: 1, 50: 51, 99: 100, 100: 100} {
		if got := quantile(sorted, percent); got != want {
			t.Errorf("%d%%: got %d, want %d", percent, got, want)
		}
	}
	if got := quantile(nil, 50); got != 0 {
		t.Errorf("got %d of nothing", got)
	}
}

func TestCoverage(t *testing.T) {
	c := newCoverage(3, 10)
	probe := func(n, second int) {
		c.see(ssmlocal.Entry{InstanceID: simulated.ID(n), Start: noon.Add(time.Duration(second) * time.Second)})
	}
	for _, second := range []int{-5, 10, 40, 70, 95} {
		probe(0, second)
	}
	probe(10, 30)
	probe(11, 50) // Not the first of its policy.
	if c.all() {
		t.Error("the third policy was not probed")
	}
	probe(20, 0)
	probe(20, 100)
	if !c.all() {
		t.Error("every policy was probed")
	}
	got := c.between(noon, noon.Add(90*time.Second))
	if got.fewest != 1 || got.most != 3 || got.longest != 90*time.Second || got.mean < 1.66 || got.mean > 1.67 {
		t.Errorf("got %+v", got)
	}
}
