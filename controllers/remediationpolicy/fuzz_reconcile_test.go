// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
)

const (
	// meddlings is how often something may happen, stillSteps how many moments there are at most after that.
	meddlings, stillSteps = 12, 150
	// stillTime is the time after that, in which every policy has time for two rounds of probes, except for those that make one a
	// day.
	stillTime = 6 * time.Minute
)

// FuzzReconcile reconciles policies that may say anything that the schema admits, also in their status, together with
// Remediations of any kind. People edit, restore and write by hand, nodes and calls fail; then all has to come to rest, and the
// status tells how things are.
func FuzzReconcile(f *testing.F) {
	for _, data := range crd.Tapes(f, 40, 1500) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tape := crd.Tape(data)
		api := inMemory(t, "web")
		l := newLife(t, api, "web")
		l.begin(&tape)
		for range meddlings {
			for range tape.Below(8) {
				l.Step(time.Hour)
			}
			l.meddle(&tape)
		}
		l.settle()
		l.Expect(api.Refused()).To(Succeed(), "the API server takes what the controllers write")
	})
}

// begin has a policy, and perhaps Remediations that it has had before.
func (l *life) begin(tape *crd.Tape) {
	for _, n := range l.Fleet.Nodes() {
		if tape.Coin() {
			n.Fail(l.Clock.Now())
		}
	}
	p := tape.Policy(l.Clock.Now())
	if tape.Below(4) > 0 {
		plain(tape, &p.Spec)
	}
	l.apply(p.Spec)
	if tape.Coin() {
		l.writePolicy(p.Status)
	}
	for range tape.Below(4) {
		l.restore(tape)
	}
	if tape.Below(4) == 3 {
		l.Trouble(tape)
	}
}

// meddle lets something happen.
func (l *life) meddle(tape *crd.Tape) {
	switch tape.Below(14) {
	case 0:
		l.Restart()
	case 1:
		l.Clock.Step(crd.Choose(tape, time.Second, time.Minute, 10*time.Minute, time.Hour))
	case 2:
		l.writePolicy(tape.Policy(l.Clock.Now()).Status)
	case 3, 4:
		l.edit(tape)
	case 5:
		l.annotate(tape)
	case 6:
		l.restore(tape)
	case 7:
		l.meddleWithRemediation(tape)
	case 8:
		l.KillSwitch(tape.Coin())
	case 9:
		l.delete(&v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: l.key.Namespace, Name: l.key.Name}})
	default:
		l.Disturb(tape)
	}
}

// edit gives the policy another spec.
func (l *life) edit(tape *crd.Tape) {
	spec := tape.Policy(l.Clock.Now()).Spec
	if tape.Coin() {
		plain(tape, &spec)
	}
	l.apply(spec)
}

// annotate asks for something, of the policy or of its Namespace.
func (l *life) annotate(tape *crd.Tape) {
	key := crd.Choose(tape, v1alpha1.AnnotationRequestedAt, v1alpha1.AnnotationResetAt, v1alpha1.AnnotationSilencedUntil)
	now := l.Clock.Now().UTC()
	annotations := map[string]string{key: crd.Choose(tape, now.Format(time.RFC3339), now.Add(time.Minute).Format(time.RFC3339Nano),
		"9999-12-31T23:59:59-23:59", "now", "", "é日🔥\x00", "0001-01-01T00:00:00Z")}
	if tape.Below(4) == 3 {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.key.Namespace, Annotations: annotations}}
		l.Expect(l.Hand.Update(l.t.Context(), namespace)).To(Succeed())
	} else if p := l.policy(); p != nil {
		p.Annotations = annotations
		l.Expect(l.Hand.Update(l.t.Context(), p)).To(Succeed())
	}
}

// meddleWithRemediation deletes one that is there, or writes its status.
func (l *life) meddleWithRemediation(tape *crd.Tape) {
	all := l.remediations()
	if len(all) == 0 {
		return
	}
	r := &all[tape.Below(len(all))]
	if tape.Coin() {
		l.delete(r)
	} else {
		l.writeRemediation(r, tape.Remediation(l.Clock.Now()).Status)
	}
}

// settle lets nothing go wrong any more, and checks what the controllers make of that.
func (l *life) settle() {
	l.Calm()
	for _, n := range l.Fleet.Nodes() {
		n.Untell()
		n.SetAgent(simulated.Answering)
		l.SSM.SetConnection(n.ID(), ssmlocal.Online)
	}
	l.NotifyPolicy(l.key) // A status that was written by hand is looked at with the next round at the latest.
	l.Turn()
	l.told()
	began := l.Clock.Now()
	l.Run(stillTime, stillSteps)
	l.told()
	l.atRest()
	l.actedOnce()
	if l.Clock.Now().Sub(began) >= stillTime {
		l.upToDate()
	}
}

// upToDate checks that the status tells of the last rounds.
func (l *life) upToDate() {
	p := l.policy()
	if p == nil || p.Spec.Suspend {
		return
	}
	period := time.Duration(p.Spec.Probe.PeriodSeconds) * time.Second
	if period > time.Minute {
		return
	}
	l.Expect(p.Status.LastProbeTime).NotTo(BeNil())
	age := l.Clock.Now().Sub(p.Status.LastProbeTime.Time)
	l.Expect(age).To(And(BeNumerically(">=", 0), BeNumerically("<", heartbeat+2*period)), "the last round was at %v", p.Status.LastProbeTime)
	l.Expect(p.Status.Targets).NotTo(BeNil())
	l.Expect(*p.Status.Targets).To(Equal(*p.Status.Healthy + *p.Status.Unhealthy + *p.Status.Held + *p.Status.Unknown))
	for _, i := range p.Status.Instances {
		l.Expect(i.Blocked == nil || i.Blocked.Until == nil || i.Blocked.Until.After(l.Clock.Now().Add(-time.Minute))).To(BeTrue(),
			"%s waits until %v", i.InstanceID, i.Blocked)
	}
}
