// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	// requestSkew is how far ahead of our clock the clock of somebody who asks for something now may be.
	requestSkew = 5 * time.Minute
	// maxRequestValue is the length of a value as it is acknowledged.
	maxRequestValue = 64
	// namespacePrefix tells the annotation of a Namespace from that of the policy in status.requests.
	namespacePrefix = "namespace/"
)

// Requests is what people ask for by annotations.
type Requests struct {
	// Acknowledged is status.requests.
	Acknowledged []v1alpha1.RequestStatus
	// ResetTime is status.resetTime.
	ResetTime *metav1.MicroTime
	// Probe asks for a probe of all instances now. It is not acknowledged before that has begun (AcknowledgeProbe).
	Probe bool
}

// ReadRequests reads the annotations of the policy and of its Namespace. pause, when it is set, is why nothing is probed.
func ReadRequests(now time.Time, policy *v1alpha1.RemediationPolicy, namespace map[string]string, pause *Wait) Requests {
	r := requests{now: now, before: policy.Status.Requests}
	r.ResetTime = policy.Status.ResetTime
	if value, asked := policy.Annotations[v1alpha1.AnnotationRequestedAt]; asked {
		r.probe(value, pause)
	}
	if value, asked := policy.Annotations[v1alpha1.AnnotationResetAt]; asked {
		r.reset(value)
	}
	if value, asked := policy.Annotations[v1alpha1.AnnotationSilencedUntil]; asked {
		r.silence(v1alpha1.AnnotationSilencedUntil, value)
	}
	if value, asked := namespace[v1alpha1.AnnotationSilencedUntil]; asked {
		r.silence(namespacePrefix+v1alpha1.AnnotationSilencedUntil, value)
	}
	slices.SortFunc(r.Acknowledged, func(a, b v1alpha1.RequestStatus) int { return cmp.Compare(a.Annotation, b.Annotation) })
	return r.Requests
}

// AcknowledgeProbe acknowledges that the probe that was asked for has begun.
func (r *Requests) AcknowledgeProbe(now time.Time, policy *v1alpha1.RemediationPolicy) {
	r.Probe = false
	r.Acknowledged = append(r.Acknowledged, v1alpha1.RequestStatus{
		Annotation: v1alpha1.AnnotationRequestedAt, Value: shown(policy.Annotations[v1alpha1.AnnotationRequestedAt]),
		State: v1alpha1.RequestAccepted, Message: "a probe of all instances was begun", Time: metav1.NewMicroTime(now),
	})
	slices.SortFunc(r.Acknowledged, func(a, b v1alpha1.RequestStatus) int { return cmp.Compare(a.Annotation, b.Annotation) })
}

type requests struct {
	Requests
	now    time.Time
	before []v1alpha1.RequestStatus
}

// seen returns the acknowledgement of a value, when there is one.
func (r *requests) seen(annotation, value string) (v1alpha1.RequestStatus, bool) {
	for _, before := range r.before {
		if before.Annotation == annotation && before.Value == shown(value) {
			return before, true
		}
	}
	return v1alpha1.RequestStatus{}, false
}

// answer acknowledges a value. The time is that of the first look at it.
func (r *requests) answer(annotation, value string, state v1alpha1.RequestState, message string) {
	at := metav1.NewMicroTime(r.now)
	if before, seen := r.seen(annotation, value); seen {
		at = before.Time
	}
	r.Acknowledged = append(r.Acknowledged, v1alpha1.RequestStatus{
		Annotation: annotation, Value: shown(value), State: state, Message: message, Time: at,
	})
}

// done keeps an acknowledgement of something that is done once for each value.
func (r *requests) done(annotation, value string) bool {
	before, seen := r.seen(annotation, value)
	if seen {
		r.Acknowledged = append(r.Acknowledged, before)
	}
	return seen
}

func (r *requests) probe(value string, pause *Wait) {
	if r.done(v1alpha1.AnnotationRequestedAt, value) {
		return
	}
	if _, refusal := r.past(value); refusal != "" {
		r.answer(v1alpha1.AnnotationRequestedAt, value, v1alpha1.RequestRefused, refusal)
		return
	}
	if pause != nil {
		r.answer(v1alpha1.AnnotationRequestedAt, value, v1alpha1.RequestRefused, "nothing is probed: "+pause.Message)
		return
	}
	r.Probe = true
}

func (r *requests) reset(value string) {
	if r.done(v1alpha1.AnnotationResetAt, value) {
		return
	}
	at, refusal := r.past(value)
	if refusal != "" {
		r.answer(v1alpha1.AnnotationResetAt, value, v1alpha1.RequestRefused, refusal)
		return
	}
	if r.ResetTime == nil || at.After(r.ResetTime.Time) {
		r.ResetTime = new(metav1.NewMicroTime(at))
	}
	r.answer(v1alpha1.AnnotationResetAt, value, v1alpha1.RequestAccepted,
		"attempts before "+r.ResetTime.UTC().Format(time.RFC3339)+" no longer count")
}

func (r *requests) silence(annotation, value string) {
	until, err := readTime(value)
	switch {
	case err != nil:
		r.answer(annotation, value, v1alpha1.RequestRefused, notATime+"; recovery is NOT silenced")
	case !until.After(r.now):
		r.answer(annotation, value, v1alpha1.RequestAccepted, "that time has passed: recovery is no longer silenced")
	default:
		r.answer(annotation, value, v1alpha1.RequestAccepted, "recovery is silenced until then")
	}
}

const notATime = "the value is no time as in RFC 3339, for example 2026-03-29T12:00:00Z (date -u +%FT%TZ)"

// past reads a time that must not be in the future, or says why it cannot be taken.
func (r *requests) past(value string) (at time.Time, refusal string) {
	at, err := readTime(value)
	switch {
	case err != nil:
		return at, notATime
	case at.After(r.now.Add(requestSkew)):
		return at, fmt.Sprintf("the time is in the future; it was %s when this was seen", r.now.UTC().Format(time.RFC3339))
	case at.After(r.now):
		return r.now, ""
	}
	return at, ""
}

// readTime reads a time as people write it. One before or after all years that the API server takes is none: a status with it
// could not be written.
func readTime(value string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return at, err
	}
	if year := at.UTC().Year(); year < 1000 || year > 9999 {
		return time.Time{}, fmt.Errorf("reading a time: there is no year %d", year)
	}
	// In the precision of the API, with which it is compared.
	return at.Truncate(time.Microsecond), nil
}

// shown is a value as it is acknowledged. It is not cut within a character, which would not come back as it was written.
func shown(value string) string {
	return strings.ToValidUTF8(value[:min(len(value), maxRequestValue)], "")
}
