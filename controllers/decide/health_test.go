// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	healthy   = v1alpha1.HealthHealthy
	unhealthy = v1alpha1.HealthUnhealthy
	held      = v1alpha1.HealthHeld
	unknown   = v1alpha1.HealthUnknown
)

// observe feeds one observation every ten seconds, the last one at noon.
func observe(s State, probe v1alpha1.ProbeSpec, row ...v1alpha1.Health) State {
	for n, health := range row {
		at := ago(10 * (len(row) - 1 - n))
		s = s.Observe(Observation{Health: health, Reason: "R", Message: "m", ProbeTime: at, ReadTime: at}, probe)
	}
	return s
}

func TestThresholds(t *testing.T) {
	type healths = []v1alpha1.Health
	tests := map[string]struct {
		failureThreshold, successThreshold int32
		row                                healths
		wantHealth                         v1alpha1.Health
		wantReason                         string
		wantDown                           bool
	}{
		"one success is enough":                          {2, 1, healths{healthy}, healthy, "R", false},
		"one failure of a healthy instance is not":       {2, 1, healths{healthy, unhealthy}, healthy, "R", false},
		"one failure of a new instance is not either":    {2, 1, healths{unhealthy}, unknown, ReasonConfirming, false},
		"two failures in a row are":                      {2, 1, healths{healthy, unhealthy, unhealthy}, unhealthy, "R", true},
		"two failures with a success between are not":    {2, 1, healths{unhealthy, healthy, unhealthy}, healthy, "R", false},
		"two failures with a silence between are not":    {2, 1, healths{unhealthy, unknown, unhealthy}, unknown, ReasonConfirming, false},
		"two failures with a hold between are not":       {2, 1, healths{unhealthy, held, unhealthy}, unknown, ReasonConfirming, false},
		"a threshold of one":                             {1, 1, healths{unhealthy}, unhealthy, "R", true},
		"silence takes a down instance out of action":    {2, 1, healths{unhealthy, unhealthy, unknown}, unknown, "R", false},
		"a hold takes a down instance out of action":     {2, 1, healths{unhealthy, unhealthy, held}, held, "R", false},
		"a success ends an incident":                     {2, 1, healths{unhealthy, unhealthy, healthy}, healthy, "R", false},
		"one of two successes does not, but nobody acts": {2, 2, healths{unhealthy, unhealthy, healthy}, unhealthy, "R", false},
		"and a failure after it has to be confirmed": {
			2, 2, healths{unhealthy, unhealthy, healthy, unhealthy}, unhealthy, "R", false,
		},
		"which another one does": {
			2, 2, healths{unhealthy, unhealthy, healthy, unhealthy, unhealthy}, unhealthy, "R", true,
		},
		"two of two successes do": {2, 2, healths{unhealthy, unhealthy, healthy, healthy}, healthy, "R", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			probe := defaults().Probe
			probe.FailureThreshold, probe.SuccessThreshold = test.failureThreshold, test.successThreshold
			s := observe(Unprobed(ago(100)), probe, test.row...)
			g.Expect(s.Health).To(Equal(test.wantHealth))
			g.Expect(s.Reason).To(Equal(test.wantReason))
			g.Expect(s.Down(probe)).To(Equal(test.wantDown))
		})
	}
}

func TestAnIncidentRemembersItsFirstFailure(t *testing.T) {
	g := NewWithT(t)
	probe := defaults().Probe
	s := observe(Unprobed(ago(100)), probe, healthy, unhealthy, unhealthy, unhealthy)
	g.Expect(s.FirstFailure).To(Equal(ago(20)))
	g.Expect(s.DownTime).To(Equal(ago(10)))
	g.Expect(s.Since).To(Equal(ago(10)))
	g.Expect(s.Spell).To(Equal(Spell{Start: ago(30), End: ago(20)}), "it ends with the first failure, and not with the one that confirms it")
	s = observe(s, probe, healthy)
	g.Expect(s.FirstFailure).To(BeZero())
	g.Expect(s.DownTime).To(BeZero())
	g.Expect(s.Since).To(Equal(noon))
}

// TestWhatCannotBeLookedAtIsNotDown has a node say that it has no such process any more, which silence does not.
func TestWhatCannotBeLookedAtIsNotDown(t *testing.T) {
	g := NewWithT(t)
	probe := defaults().Probe
	s := observe(Unprobed(ago(100)), probe, unhealthy, unhealthy)
	s = s.Observe(Observation{Health: v1alpha1.HealthUnknown, Reason: "NoAnswer", ProbeTime: ago(-10), ReadTime: ago(-11)}, probe)
	g.Expect(count([]Instance{{State: s}})).To(Equal(census{open: 1}))
	s = s.Observe(Observation{Health: v1alpha1.HealthUnknown, Reason: "UnitNotFound", Impossible: true, ProbeTime: ago(-20), ReadTime: ago(-21)}, probe)
	g.Expect(count([]Instance{{State: s}})).To(Equal(census{}))
}

func TestOlderObservationsChangeNothing(t *testing.T) {
	g := NewWithT(t)
	probe := defaults().Probe
	s := observe(Unprobed(ago(100)), probe, healthy)
	late := Observation{Health: unhealthy, ProbeTime: ago(1), ReadTime: noon.Add(time.Second)}
	g.Expect(s.Observe(late, probe)).To(Equal(s))
}

func TestConfirmAt(t *testing.T) {
	g := NewWithT(t)
	probe := defaults().Probe
	at, wanted := observe(Unprobed(ago(100)), probe, unhealthy).ConfirmAt(probe)
	g.Expect(wanted).To(BeTrue())
	g.Expect(at).To(Equal(noon.Add(5 * time.Second)))
	for _, row := range [][]v1alpha1.Health{{healthy}, {unhealthy, unhealthy}, {unhealthy, unknown}} {
		_, wanted = observe(Unprobed(ago(100)), probe, row...).ConfirmAt(probe)
		g.Expect(wanted).To(BeFalse(), "%v", row)
	}
}
