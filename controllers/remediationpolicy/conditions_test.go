// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// judged is a scope over a fleet that was judged just now, with probes every 30 seconds.
func judged() *scope {
	policy := &v1alpha1.RemediationPolicy{}
	policy.Spec.Probe = v1alpha1.ProbeSpec{PeriodSeconds: 30, TimeoutSeconds: 10}
	return &scope{
		policy: policy, before: policy.DeepCopy(), now: noon, next: noon.Add(farAhead),
		fleet: &fleet{judgeTime: noon, beginTime: noon, inventoried: true, states: map[string]decide.State{}},
	}
}

func TestReadyTellsHowFarApartTheRoundsAre(t *testing.T) {
	for name, test := range map[string]struct {
		intervals [2]time.Duration
		want      metav1.ConditionStatus
		wantText  string
	}{
		"no two rounds yet":     {[2]time.Duration{0, time.Hour}, metav1.ConditionTrue, "probing 10 instances every 30 seconds"},
		"on time":               {[2]time.Duration{30 * time.Second, 31 * time.Second}, metav1.ConditionTrue, "probing 10 instances every 30 seconds"},
		"one was late":          {[2]time.Duration{30 * time.Second, 10 * time.Minute}, metav1.ConditionTrue, "probing 10 instances every 30 seconds"},
		"twice as far":          {[2]time.Duration{61 * time.Second, 90 * time.Second}, metav1.ConditionTrue, "more than 2 times as far apart"},
		"a little beyond three": {[2]time.Duration{91 * time.Second, 92 * time.Second}, metav1.ConditionFalse, "more than 3 times as far apart"},
		"thirteen times":        {[2]time.Duration{390 * time.Second, 390 * time.Second}, metav1.ConditionFalse, "more than 12 times as far apart"},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := NewWithT(t), judged()
			s.policy.Status.Targets = new(int32(10))
			s.fleet.intervals = test.intervals
			s.setReady(nil)
			ready := meta.FindStatusCondition(s.policy.Status.Conditions, v1alpha1.ConditionReady)
			g.Expect(ready.Status).To(Equal(test.want))
			if text := ready.Message; strings.HasPrefix(test.wantText, "probing") {
				g.Expect(text).To(Equal(test.wantText))
			} else {
				g.Expect(text).To(ContainSubstring(test.wantText))
			}
		})
	}
}

// TestLargestStatus has all lists of a status full, of entries as long as they can be.
func TestLargestStatus(t *testing.T) {
	g, s := NewWithT(t), judged()
	long := strings.Repeat("as long as it can be ", 50)
	const unhealthy = 10_000
	for n := range unhealthy {
		id := fmt.Sprintf("mi-%017x", n)
		s.fleet.states[id] = decide.State{
			Health: v1alpha1.HealthUnhealthy, Reason: "SystemdUnavailable", Message: long, Since: noon.Add(time.Microsecond),
		}
		s.decisions = append(s.decisions, decide.Decision{
			InstanceID: id, Wait: &decide.Wait{Reason: v1alpha1.ReasonInvalidMaintenanceWindow, Message: long, Until: noon.Add(time.Microsecond)},
		})
	}
	for n := range maxOpening {
		s.policy.Status.Opening = append(s.policy.Status.Opening, v1alpha1.OpeningRemediation{
			Name: fmt.Sprintf("%063d", n), InstanceID: "mi-0123456789abcdef0", Sequence: 1_000_000, NotAfter: metav1.NewMicroTime(noon.Add(time.Minute)),
		})
		s.policy.Status.Opened = append(s.policy.Status.Opened, fmt.Sprintf("01234567-89ab-cdef-0123-%012d", n))
	}
	s.fillStatus()
	s.setConditions()
	status := &s.policy.Status
	g.Expect(status.Instances).To(HaveLen(maxInstances))
	g.Expect(status.Opening).To(HaveLen(maxOpening))
	g.Expect(meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionHealthy).Message).To(
		HaveSuffix("; status.instances does not list 9900 of those that are not Healthy"))
	text, err := json.Marshal(status)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(text)).To(BeNumerically("<", largestStatus))
	t.Log(len(text), "bytes")
}
