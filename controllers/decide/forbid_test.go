// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestForbidden(t *testing.T) {
	const until = "2026-03-29T13:00:00Z"
	silence := map[string]string{v1alpha1.AnnotationSilencedUntil: until, v1alpha1.AnnotationSilenceReason: "release 7"}
	tests := map[string]struct {
		policy func(*v1alpha1.RemediationPolicy)
		around Surroundings
		reason string
		until  time.Time
		text   string
	}{
		"nothing": {},
		"the kill switch, before all else": {
			policy: func(p *v1alpha1.RemediationPolicy) { p.Spec.Suspend = true },
			around: Surroundings{Stopped: true}, reason: v1alpha1.ReasonStopped, text: "ssm-remediator-stop",
		},
		"suspended": {
			policy: func(p *v1alpha1.RemediationPolicy) { p.Spec.Suspend, p.Annotations = true, silence },
			reason: v1alpha1.ReasonSuspended, text: "spec.suspend",
		},
		"silenced by the policy": {
			policy: func(p *v1alpha1.RemediationPolicy) { p.Annotations = silence },
			reason: v1alpha1.ReasonSilenced, until: ago(-3600), text: "of the policy: release 7",
		},
		"silenced by the Namespace": {
			around: Surroundings{Namespace: silence}, reason: v1alpha1.ReasonSilenced, until: ago(-3600), text: "of the Namespace: release 7",
		},
		"a silence that has passed": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Annotations = map[string]string{v1alpha1.AnnotationSilencedUntil: "2026-03-29T12:00:00Z"}
			},
		},
		"a silence that is no time": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Annotations = map[string]string{v1alpha1.AnnotationSilencedUntil: "tomorrow"}
			},
		},
		"a recovery that does not help": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Status.Ineffective = &v1alpha1.IneffectiveStatus{Time: metav1.NewMicroTime(ago(60)), Attempts: 5}
			},
			reason: v1alpha1.ReasonRecoveryIneffective, text: "5 attempts in a row",
		},
		"one of another spec": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Status.Ineffective = &v1alpha1.IneffectiveStatus{Generation: 7, Time: metav1.NewMicroTime(ago(60)), Attempts: 5}
			},
		},
		"the breaker, past its time, which waits for answers": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Status.Breaker = &v1alpha1.BreakerStatus{
					OpenTime: metav1.NewMicroTime(ago(600)), Unhealthy: 60, Limit: 50, BelowTime: new(metav1.NewMicroTime(ago(500))),
				}
			},
			reason: v1alpha1.ReasonTooManyUnhealthy, text: "60 instances were down at once",
		},
		"the breaker": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Status.Breaker = &v1alpha1.BreakerStatus{OpenTime: metav1.NewMicroTime(ago(60)), Unhealthy: 60, Limit: 50}
			},
			reason: v1alpha1.ReasonTooManyUnhealthy, text: "more than 50 instances are down",
		},
		"the breaker, about to let go": {
			policy: func(p *v1alpha1.RemediationPolicy) {
				p.Status.Breaker = &v1alpha1.BreakerStatus{
					OpenTime: metav1.NewMicroTime(ago(60)), Unhealthy: 60, Limit: 50, BelowTime: new(metav1.NewMicroTime(ago(10))),
				}
			},
			reason: v1alpha1.ReasonTooManyUnhealthy, until: ago(-110), text: "60 instances were down at once",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			policy := &v1alpha1.RemediationPolicy{Spec: *defaults()}
			if test.policy != nil {
				test.policy(policy)
			}
			no := Forbidden(noon, policy, test.around)
			if test.reason == "" {
				g.Expect(no).To(BeNil())
				return
			}
			g.Expect(no.Reason).To(Equal(test.reason))
			g.Expect(no.Message).To(ContainSubstring(test.text))
			g.Expect(no.Until).To(BeTemporally("==", test.until))
		})
	}
}
