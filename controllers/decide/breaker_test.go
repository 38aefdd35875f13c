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

// fleetOf is a fleet of which so many are down, so many have failed one probe, so many have not answered the round under way,
// and the rest is healthy.
func fleetOf(targets, downs, suspects, pending int) []Instance {
	instances := make([]Instance, targets)
	for n := range instances {
		id := fmt.Sprintf("i-%03d", n)
		instances[n] = Instance{ID: id, State: State{Health: v1alpha1.HealthHealthy}}
		switch {
		case n < downs:
			instances[n] = down(id, 60)
		case n < downs+suspects:
			instances[n].State.Failures = 1
		case n < downs+suspects+pending:
			instances[n].Pending = true
		}
	}
	return instances
}

func TestMaxUnhealthy(t *testing.T) {
	tests := map[string]struct {
		limit   intstr.IntOrString
		targets int
		want    int
	}{
		"a number":                            {intstr.FromInt32(1), 100, 1},
		"a percentage is rounded down":        {intstr.FromString("50%"), 11, 5},
		"a percentage is never less than 3":   {intstr.FromString("50%"), 2, 3},
		"a percentage of nothing":             {intstr.FromString("50%"), 0, 3},
		"what cannot be read allows just one": {intstr.FromString("many"), 100, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(MaxUnhealthy(&test.limit, test.targets)).To(Equal(test.want))
		})
	}
	NewWithT(t).Expect(MaxUnhealthy(nil, 100)).To(Equal(50))
}

func TestBreaker(t *testing.T) {
	micro := func(at time.Time) metav1.MicroTime { return metav1.NewMicroTime(at) }
	open := &v1alpha1.BreakerStatus{OpenTime: micro(ago(100)), Unhealthy: 60, Limit: 50}
	below := func(secondsAgo int) *v1alpha1.BreakerStatus {
		b := open.DeepCopy()
		b.BelowTime = new(micro(ago(secondsAgo)))
		return b
	}
	tests := map[string]struct {
		instances []Instance
		recorded  *v1alpha1.BreakerStatus
		want      *v1alpha1.BreakerStatus
	}{
		"as many as may be":                         {fleetOf(100, 50, 0, 0), nil, nil},
		"one more":                                  {fleetOf(100, 51, 0, 0), nil, &v1alpha1.BreakerStatus{OpenTime: micro(noon), Unhealthy: 51, Limit: 50}},
		"suspects do not open it":                   {fleetOf(100, 50, 50, 0), nil, nil},
		"still more: as it was recorded":            {fleetOf(100, 55, 0, 0), open, open},
		"no more than may be: that is written down": {fleetOf(100, 50, 0, 0), open, below(0)},
		"so far, by a clock that was set back":      {fleetOf(100, 50, 0, 0), below(-3600), below(0)},
		"and stays so for two rounds":               {fleetOf(100, 40, 0, 0), below(119), below(119)},
		"after which it lets go":                    {fleetOf(100, 50, 0, 0), below(120), nil},
		"more again begin anew":                     {fleetOf(100, 51, 0, 0), below(119), open},
		"what is not known does not begin the time": {fleetOf(100, 50, 1, 0), open, open},
		"one that was down and does not answer is not known": {
			append(fleetOf(99, 50, 0, 0), Instance{State: State{Health: v1alpha1.HealthUnknown, Reason: "NoAnswer", WasDown: true}}), open, open},
		"one that was down and is offline does not count": {
			append(fleetOf(99, 50, 0, 0), Instance{State: State{Health: v1alpha1.HealthUnknown, Reason: ReasonNodeOffline, WasDown: true}}), open, below(0)},
		"nor end it": {fleetOf(100, 50, 0, 1), below(130), below(130)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(Breaker(noon, defaults(), 100, test.instances, test.recorded)).To(Equal(test.want))
		})
	}
}

func TestFleetWaitsForAnswersThatMatter(t *testing.T) {
	tests := map[string]struct {
		instances []Instance
		want      string
	}{
		"answers that cannot change it are not waited for": {fleetOf(100, 2, 0, 48), ""},
		"one more answer could":                            {fleetOf(100, 2, 0, 49), v1alpha1.BlockedAwaitingRound},
		"failed once may be down as well":                  {fleetOf(100, 2, 49, 0), v1alpha1.BlockedAwaitingRound},
		"a small fleet waits for nobody":                   {fleetOf(3, 1, 0, 2), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			first := Fleet(noon, defaults(), len(test.instances), test.instances, nil)[0]
			if test.want == "" {
				g.Expect(first.Act).NotTo(BeNil())
				return
			}
			g.Expect(first.Wait.Reason).To(Equal(test.want))
		})
	}
}
