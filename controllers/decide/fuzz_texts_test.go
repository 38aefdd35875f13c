// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// FuzzForbidden reads annotations and windows of any text.
func FuzzForbidden(f *testing.F) {
	f.Add("2026-03-29T13:00:00Z", "release 7", "", "0 2 * * 6", "Europe/Berlin", int32(3600), int64(1774785600), byte(0))
	f.Add("9999-12-31T23:59:59-23:59", "", "tomorrow", "*/5 * * * *", "", int32(60), int64(0), byte(1))
	f.Add("", "", "2026-03-29T13:00:00.5+14:00", "0 0 29 2 *", "America/New_York", int32(604800), int64(4102444800), byte(4))
	f.Add("", "", "", "TZ=UTC 0 0 * * *", "Local", int32(60), int64(1774785600), byte(4))
	f.Add("", "", "", "TZ=UTC", "", int32(60), int64(1774785600), byte(4))
	f.Add("", "", "", "@every 1h", "../../etc/passwd", int32(60), int64(1774785600), byte(4))
	f.Add("", "", "", "30 2 30 2 *", "Europe/Berlin", int32(60), int64(1774785600), byte(12))
	f.Add("", "", "", "0 0 * * 6", "America/New_York", int32(86400), int64(1774785600), byte(20))
	f.Fuzz(func(t *testing.T, silence, why, ofNamespace, schedule, zone string, duration int32, seconds int64, bits byte) {
		g, now := NewWithT(t), time.Unix(seconds%(1<<32), 0)
		policy := &v1alpha1.RemediationPolicy{}
		policy.Annotations = map[string]string{v1alpha1.AnnotationSilencedUntil: silence, v1alpha1.AnnotationSilenceReason: why}
		policy.Spec.Suspend = bits&1 != 0
		around := Surroundings{Stopped: bits&2 != 0, Namespace: map[string]string{v1alpha1.AnnotationSilencedUntil: ofNamespace}}
		// The schema bounds the duration.
		policy.Spec.MaintenanceWindows = windowsBy(bits, schedule, zone, min(max(duration, 60), 604800))
		no, bad := Forbidden(now, policy, around), BadWindow(now, &policy.Spec)
		switch {
		case around.Stopped:
			g.Expect(no.Reason).To(Equal(v1alpha1.ReasonStopped))
		case policy.Spec.Suspend:
			g.Expect(no.Reason).To(Equal(v1alpha1.ReasonSuspended))
		case bad != nil:
			g.Expect(no).To(Equal(bad))
			g.Expect(bad.Message).To(ContainSubstring("spec.maintenanceWindows[0]."))
		case isLater(silence, now) || isLater(ofNamespace, now):
			g.Expect(no.Reason).To(Equal(v1alpha1.ReasonSilenced))
		case no != nil:
			g.Expect(no.Reason).To(Equal(v1alpha1.ReasonMaintenanceWindow))
			g.Expect(no.Until.IsZero() || Forbidden(no.Until, policy, around) == nil).To(BeTrue(), "not any more at %v", no.Until)
		}
		if no != nil {
			g.Expect(no.Message).NotTo(BeEmpty())
			g.Expect(no.Until.IsZero() || no.Until.After(now)).To(BeTrue())
		}
	})
}

// windowsBy are up to two windows: one of any text, which allows or denies, and another one that allows.
func windowsBy(bits byte, schedule, zone string, duration int32) []v1alpha1.MaintenanceWindow {
	var windows []v1alpha1.MaintenanceWindow
	switch bits & 12 {
	case 4:
		windows = append(windows, deny(schedule, duration, zone))
	case 12:
		windows = append(windows, allow(schedule, duration, zone))
	}
	if bits&16 != 0 {
		windows = append(windows, allow("30 2 * * 6,0", 48*hour, "Europe/Berlin"))
	}
	return windows
}

// TestForbiddenWithTheWorstWindows takes windows whose ends have to be sought far away: one that comes every four years, and
// one that ends each minute only to begin again.
func TestForbiddenWithTheWorstWindows(t *testing.T) {
	policy := &v1alpha1.RemediationPolicy{}
	for range 15 {
		policy.Spec.MaintenanceWindows = append(policy.Spec.MaintenanceWindows, allow("0 0 29 2 *", 604800, "Europe/Berlin"))
	}
	policy.Spec.MaintenanceWindows = append(policy.Spec.MaintenanceWindows, deny("* * * * *", 60, "Europe/Berlin"))
	begun := time.Now()
	NewWithT(t).Expect(Forbidden(noon, policy, Surroundings{}).Until).To(BeZero())
	NewWithT(t).Expect(time.Since(begun)).To(BeNumerically("<", 5*time.Second), "it takes milliseconds")
}

func isLater(text string, now time.Time) bool {
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && at.Truncate(time.Microsecond).After(now) && at.UTC().Year() < 10000
}

// FuzzReadRequests reads annotations of any text. What is acknowledged goes into the status and comes back with the next
// pass, which has to acknowledge the same, or the status would be written again and again.
func FuzzReadRequests(f *testing.F) {
	f.Add("2026-03-29T11:00:00Z", "2026-03-29T12:04:00Z", "2h", "2026-03-29T13:00:00Z", false)
	f.Add("now", strings.Repeat("1", 300), strings.Repeat("é", 40), strings.Repeat("x", 63)+"é", true)
	f.Add("0000-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\x00", false)
	f.Add("2026-03-29T11:00:00.123456789Z", "2026-03-29T11:00:00.123456789Z", "", "0001-01-01T00:00:00Z", false)
	f.Fuzz(func(t *testing.T, requested, reset, silenced, ofNamespace string, paused bool) {
		later := noon.Add(time.Microsecond)
		if isLater(silenced, noon) != isLater(silenced, later) || isLater(ofNamespace, noon) != isLater(ofNamespace, later) {
			return // A silence that ends in between is news.
		}
		if !utf8.ValidString(requested + " " + reset + " " + silenced + " " + ofNamespace) {
			return // The API server holds no such text.
		}
		g, policy := NewWithT(t), &v1alpha1.RemediationPolicy{}
		policy.Annotations = map[string]string{
			v1alpha1.AnnotationRequestedAt: requested, v1alpha1.AnnotationResetAt: reset, v1alpha1.AnnotationSilencedUntil: silenced,
		}
		namespace := map[string]string{v1alpha1.AnnotationSilencedUntil: ofNamespace}
		var pause *Wait
		if paused {
			pause = &Wait{Reason: v1alpha1.ReasonStopped, Message: "the kill switch is on"}
		}
		first := ReadRequests(noon, policy, namespace, pause)
		g.Expect(first.Probe && paused).To(BeFalse())
		if first.Probe {
			first.AcknowledgeProbe(noon, policy)
		}
		g.Expect(first.Acknowledged).To(HaveLen(4), "each is acknowledged, once")
		for n, request := range first.Acknowledged {
			g.Expect(n == 0 || first.Acknowledged[n-1].Annotation < request.Annotation).To(BeTrue(), "in order")
			g.Expect(request.State).To(BeElementOf(v1alpha1.RequestAccepted, v1alpha1.RequestRefused))
			g.Expect(utf8.RuneCountInString(request.Value)).To(BeNumerically("<=", 64))
			g.Expect(request.Message).NotTo(BeEmpty())
			g.Expect(len(request.Message)).To(BeNumerically("<=", 512))
		}
		if first.ResetTime != nil {
			g.Expect(first.ResetTime.Time).To(BeTemporally("<=", noon))
		}

		text, err := json.Marshal(v1alpha1.RemediationPolicyStatus{Requests: first.Acknowledged, ResetTime: first.ResetTime})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(json.Unmarshal(text, &policy.Status)).To(Succeed(), "it can be written and read")
		again := ReadRequests(later, policy, namespace, pause)
		g.Expect(again.Probe).To(BeFalse(), "it is done once")
		stored := policy.Status.DeepCopy()
		text, err = json.Marshal(v1alpha1.RemediationPolicyStatus{Requests: again.Acknowledged, ResetTime: again.ResetTime})
		g.Expect(err).NotTo(HaveOccurred())
		policy.Status = v1alpha1.RemediationPolicyStatus{}
		g.Expect(json.Unmarshal(text, &policy.Status)).To(Succeed())
		g.Expect(policy.Status).To(Equal(*stored), "the second look brings no news")
	})
}
