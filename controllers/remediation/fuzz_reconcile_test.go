// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"maps"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
	"github.com/ssm-remediator/ssm-remediator/hack/stage"
)

const (
	// troubled is how many moments things go wrong in, and calm how many there are at most until all has ended after that.
	troubled, calm = 40, 2000
)

// life is that of one Remediation, in which anything may happen.
type life struct {
	*WithT
	*stage.Stage
	*crd.Tape
	t   *testing.T
	api *crd.Server
	key client.ObjectKey
	// sane is set for an attempt that was opened as the controller opens it: it has to come to its end in time.
	sane bool
	// tampered is set once somebody has written its status by hand.
	tampered bool
	// known is its status as the controller left it last.
	known *v1alpha1.RemediationStatus
}

// FuzzReconcile carries out attempts that may say anything that the schema admits, also in their status, as somebody may have
// restored or written it. Things go wrong, people intervene, and after that all has to come to rest: nothing was sent twice,
// nothing that was recorded was lost, and there is a result.
func FuzzReconcile(f *testing.F) {
	for _, data := range crd.Tapes(f, 60, 600) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { newLife(t, data).live() })
}

func (l *life) live() {
	for range troubled {
		if l.Below(4) == 3 {
			l.meddle()
		}
		if !l.Step(time.Hour) {
			break
		}
		l.look()
	}
	l.Calm()
	for range calm {
		if !l.Step(2 * time.Hour) {
			break
		}
		l.look()
	}
	l.conclude()
}

func newLife(t *testing.T, data []byte) *life {
	tape, g := crd.Tape(data), NewWithT(t)
	api, err := crd.NewServer()
	g.Expect(err).NotTo(HaveOccurred())
	l := &life{WithT: g, Tape: &tape, t: t, api: api, key: client.ObjectKey{Namespace: "web", Name: "httpd-1"}}
	l.Stage = stage.New(t, api, 2, func(s *stage.Stage, regions *runcommand.Regions) stage.Controllers {
		return stage.Controllers{Remediations: &Reconciler{
			Client: s.API, Live: s.API, Events: s.Events, Clock: s.Clock, Regions: regions, Namespace: stage.Home, Notify: s.NotifyRemediation,
		}}
	})
	for _, n := range l.Fleet.Nodes() {
		n.Fail(l.Clock.Now())
	}
	l.open(l.policy())
	if l.Coin() {
		l.Trouble(l.Tape)
	}
	return l
}

// policy creates the policy, or none.
func (l *life) policy() *v1alpha1.RemediationPolicy {
	policy := &v1alpha1.RemediationPolicy{}
	if l.Below(8) == 7 {
		return policy
	}
	if l.Below(4) == 3 {
		policy = l.Policy(l.Clock.Now())
	} else {
		policy.Spec = v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{"web"}}}},
			Process:  v1alpha1.ProcessSpec{Name: "httpd"},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "start"}}},
		}
	}
	policy.Namespace, policy.Name = l.key.Namespace, "httpd"
	l.Expect(l.Hand.Create(l.t.Context(), policy)).To(Succeed())
	return policy
}

// open creates the Remediation, and writes a status into it that it may have had.
func (l *life) open(policy *v1alpha1.RemediationPolicy) {
	now := l.Clock.Now()
	r := l.Remediation(now)
	r.Namespace, r.Name = l.key.Namespace, l.key.Name
	status := r.Status
	if l.sane = l.Below(4) > 0; l.sane {
		r.Finalizers = []string{v1alpha1.FinalizerInFlight}
		r.Spec.Account, r.Spec.Region, r.Spec.InstanceID = stage.Account, stage.Region, v1alpha1.InstanceID(crd.ID(l.Below(3)))
		r.Spec.OpenTime, r.Spec.NotAfter = metav1.NewMicroTime(now), metav1.NewMicroTime(now.Add(2*time.Minute))
		r.Spec.PolicyRef = v1alpha1.PolicyReference{Name: policy.Name, UID: policy.UID, Generation: policy.Generation}
		r.Spec.TTLSecondsAfterFinished = 3600
		r.Spec.Mode = crd.Choose(l.Tape, v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeObserve)
		for _, seconds := range []*int32{r.Spec.Step.TimeoutSeconds, r.Spec.Step.VerifySeconds} {
			if seconds != nil {
				*seconds = min(*seconds, 120) // The longest take thousands of looks.
			}
		}
	}
	l.Expect(l.Hand.Create(l.t.Context(), r)).To(Succeed())
	if l.Below(3) == 2 {
		l.write(status)
	}
}

// write writes the status by hand.
func (l *life) write(status v1alpha1.RemediationStatus) {
	r := l.remediation()
	if r == nil {
		return
	}
	l.tampered = true
	for _, c := range status.Commands {
		// One that tells of the future ends when that has come.
		l.sane = l.sane && !c.IntentTime.After(l.Clock.Now()) && (c.CompletionTime == nil || !c.CompletionTime.After(l.Clock.Now())) &&
			(c.SendTime == nil || !c.SendTime.After(l.Clock.Now()))
	}
	r.Status = status
	l.Expect(l.Hand.Status().Update(l.t.Context(), r)).To(Succeed())
	l.known = l.remediation().Status.DeepCopy()
}

// remediation is the Remediation as it is now; nil without it.
func (l *life) remediation() *v1alpha1.Remediation {
	r := &v1alpha1.Remediation{}
	err := l.api.Get(l.t.Context(), l.key, r)
	l.Expect(client.IgnoreNotFound(err)).To(Succeed())
	if err != nil {
		return nil
	}
	return r
}

// meddle lets something happen.
func (l *life) meddle() {
	switch l.Below(10) {
	case 0:
		l.Restart()
	case 1:
		l.Clock.Step(crd.Choose(l.Tape, time.Second, time.Minute, 10*time.Minute, time.Hour))
	case 2:
		l.write(l.Remediation(l.Clock.Now()).Status)
	case 3:
		l.delete(&v1alpha1.Remediation{ObjectMeta: metav1.ObjectMeta{Namespace: l.key.Namespace, Name: l.key.Name}})
	case 4:
		l.delete(&v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: l.key.Namespace, Name: "httpd"}})
	case 5:
		l.KillSwitch(l.Coin())
	default:
		l.Disturb(l.Tape)
	}
}

func (l *life) delete(o client.Object) {
	l.Expect(client.IgnoreNotFound(l.Hand.Delete(l.t.Context(), o))).To(Succeed())
}

// look checks that what the controller had recorded is there still, and that a result is final.
func (l *life) look() {
	r := l.remediation()
	if r == nil {
		l.known = nil
		return
	}
	if before := l.known; before != nil {
		for n, was := range before.Commands {
			is := commandOf(r, was.Purpose)
			if was.Purpose == verifyPurpose || is == nil && was.CommandID == "" {
				continue
			}
			l.Expect(is).NotTo(BeNil(), "the command %d is not lost", n)
			l.Expect(is.IntentTime).To(Equal(was.IntentTime), "the intent is written once")
			l.Expect(is.CommandID).To(Or(Equal(was.CommandID), BeElementOf(was.CommandID == "", is.CommandID)))
		}
		if result := decide.ResultOf(&v1alpha1.Remediation{Status: *before}); result != v1alpha1.ResultRunning {
			l.Expect(decide.ResultOf(r)).To(Equal(result), "a result is final")
		}
	}
	l.known = r.Status.DeepCopy()
}

// conclude checks what has come of it.
func (l *life) conclude() {
	l.Expect(l.api.Refused()).To(Succeed(), "the API server takes what the controller writes")
	l.Expect(l.Fleet.Ledger.Most()).To(BeNumerically("<=", 1), "no step acts twice")
	ran := map[string]int{}
	for _, e := range l.Executions {
		if e.Kind == ssmlocal.Run && !strings.HasSuffix(e.Comment, "/Verify") {
			ran[e.Comment]++
		}
	}
	for comment, times := range maps.All(ran) {
		l.Expect(times == 1 || l.tampered).To(BeTrue(), "%s was sent %d times", comment, times)
	}
	r := l.remediation()
	if r == nil || !l.sane {
		return
	}
	l.Expect(decide.ResultOf(r)).NotTo(Equal(v1alpha1.ResultRunning), "there is an end: %+v", r.Status)
	l.Expect(r.Finalizers).To(BeEmpty(), "it is let go")
}
