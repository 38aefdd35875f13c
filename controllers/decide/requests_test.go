// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func asked(annotation, value string) *v1alpha1.RemediationPolicy {
	policy := &v1alpha1.RemediationPolicy{}
	policy.Annotations = map[string]string{annotation: value}
	return policy
}

func TestRequests(t *testing.T) {
	const earlier, later = "2026-03-29T11:00:00Z", "2026-03-29T13:00:00Z"
	tests := map[string]struct {
		policy    *v1alpha1.RemediationPolicy
		namespace map[string]string
		pause     *Wait
		state     v1alpha1.RequestState
		message   string
		probe     bool
		reset     time.Time
	}{
		"a probe":                  {policy: asked(v1alpha1.AnnotationRequestedAt, earlier), probe: true},
		"a probe, a little ahead":  {policy: asked(v1alpha1.AnnotationRequestedAt, "2026-03-29T12:04:00Z"), probe: true},
		"a probe in the future":    {policy: asked(v1alpha1.AnnotationRequestedAt, later), state: v1alpha1.RequestRefused, message: "the time is in the future"},
		"a probe in words":         {policy: asked(v1alpha1.AnnotationRequestedAt, "now"), state: v1alpha1.RequestRefused, message: "RFC 3339"},
		"a probe while suspended":  {policy: asked(v1alpha1.AnnotationRequestedAt, earlier), pause: &Wait{Message: "why"}, state: v1alpha1.RequestRefused, message: "nothing is probed: why"},
		"a reset":                  {policy: asked(v1alpha1.AnnotationResetAt, earlier), state: v1alpha1.RequestAccepted, message: "attempts before 2026-03-29T11:00:00Z no longer count", reset: ago(3600)},
		"a reset, a little ahead":  {policy: asked(v1alpha1.AnnotationResetAt, "2026-03-29T12:04:00Z"), state: v1alpha1.RequestAccepted, message: "attempts before 2026-03-29T12:00:00Z no longer count", reset: noon},
		"a reset in the future":    {policy: asked(v1alpha1.AnnotationResetAt, later), state: v1alpha1.RequestRefused, message: "the time is in the future"},
		"a reset of long ago":      {policy: asked(v1alpha1.AnnotationResetAt, "0226-03-29T12:00:00Z"), state: v1alpha1.RequestRefused, message: "RFC 3339"},
		"a silence":                {policy: asked(v1alpha1.AnnotationSilencedUntil, later), state: v1alpha1.RequestAccepted, message: "recovery is silenced until then"},
		"a silence of long ago":    {policy: asked(v1alpha1.AnnotationSilencedUntil, earlier), state: v1alpha1.RequestAccepted, message: "that time has passed"},
		"a silence in words":       {policy: asked(v1alpha1.AnnotationSilencedUntil, "2h"), state: v1alpha1.RequestRefused, message: "recovery is NOT silenced"},
		"a silence of a Namespace": {policy: &v1alpha1.RemediationPolicy{}, namespace: map[string]string{v1alpha1.AnnotationSilencedUntil: "2h"}, state: v1alpha1.RequestRefused, message: "NOT silenced"},
		"a long value":             {policy: asked(v1alpha1.AnnotationResetAt, strings.Repeat("1", 300)), state: v1alpha1.RequestRefused, message: "RFC 3339"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := ReadRequests(noon, test.policy, test.namespace, test.pause)
			g.Expect(got.Probe).To(Equal(test.probe))
			if test.state != "" {
				g.Expect(got.Acknowledged).To(HaveLen(1))
				g.Expect(got.Acknowledged[0].State).To(Equal(test.state))
				g.Expect(got.Acknowledged[0].Message).To(ContainSubstring(test.message))
				g.Expect(got.Acknowledged[0].Time.Time).To(Equal(noon))
				g.Expect(len(got.Acknowledged[0].Value)).To(BeNumerically("<=", 64))
			} else {
				g.Expect(got.Acknowledged).To(BeEmpty(), "it is acknowledged when it has begun")
			}
			if test.reset.IsZero() {
				g.Expect(got.ResetTime).To(BeNil())
			} else {
				g.Expect(got.ResetTime.Time).To(BeTemporally("==", test.reset))
			}
		})
	}
}

func TestRequestsAreDoneOnce(t *testing.T) {
	g := NewWithT(t)
	policy := asked(v1alpha1.AnnotationRequestedAt, "2026-03-29T11:00:00Z")
	first := ReadRequests(noon, policy, nil, nil)
	first.AcknowledgeProbe(noon, policy)
	policy.Status.Requests = first.Acknowledged
	again := ReadRequests(noon.Add(time.Minute), policy, nil, nil)
	g.Expect(again.Probe).To(BeFalse())
	g.Expect(again.Acknowledged).To(Equal(first.Acknowledged), "with the time of the first look")

	policy.Annotations[v1alpha1.AnnotationRequestedAt] = "2026-03-29T11:30:00Z"
	g.Expect(ReadRequests(noon, policy, nil, nil).Probe).To(BeTrue(), "another value is another request")
}

func TestResetIsKeptAndNeverGoesBack(t *testing.T) {
	g := NewWithT(t)
	policy := &v1alpha1.RemediationPolicy{}
	policy.Status.ResetTime = new(metav1.NewMicroTime(ago(60)))
	g.Expect(ReadRequests(noon, policy, nil, nil).ResetTime).To(Equal(policy.Status.ResetTime), "without the annotation")

	policy.Annotations = map[string]string{v1alpha1.AnnotationResetAt: "2026-03-29T11:00:00Z"}
	got := ReadRequests(noon, policy, nil, nil)
	g.Expect(got.ResetTime).To(Equal(policy.Status.ResetTime), "an earlier one takes nothing back")

	policy.Status.Requests = got.Acknowledged
	policy.Status.ResetTime = nil
	g.Expect(ReadRequests(noon, policy, nil, nil).ResetTime).To(BeNil(), "it is done once")
}
