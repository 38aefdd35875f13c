// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
	"github.com/ssm-remediator/ssm-remediator/hack/stage"
)

// life is that of one policy with its Remediations, in which anything may happen.
type life struct {
	*WithT
	*stage.Stage
	t   *testing.T
	key client.ObjectKey
	// tampered are the Remediations whose status somebody has written by hand, by uid.
	tampered map[string]bool
}

// newLife is a life on an API server, without a policy yet. Both controllers play.
func newLife(t *testing.T, api client.Client, namespace string) *life {
	l := &life{WithT: NewWithT(t), t: t, key: client.ObjectKey{Namespace: namespace, Name: "httpd"}, tampered: map[string]bool{}}
	l.Stage = stage.New(t, api, 3, func(s *stage.Stage, regions *runcommand.Regions) stage.Controllers {
		prober := NewProber(regions, s.Clock, s.NotifyPolicy)
		return stage.Controllers{
			Policies: &Reconciler{
				Client: s.API, Live: s.API, Events: s.Events, Clock: s.Clock, Regions: regions, Namespace: stage.Home, Prober: prober,
			},
			Remediations: &remediation.Reconciler{
				Client: s.API, Live: s.API, Events: s.Events, Clock: s.Clock, Regions: regions, Namespace: stage.Home,
				Notify: s.NotifyRemediation,
			},
			Background: prober.beginQueued,
		}
	})
	return l
}

// inMemory is an API server with a namespace.
func inMemory(t *testing.T, namespace string) *crd.Server {
	api, err := crd.NewServer()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
	return api
}

// policy is the policy as it is now; nil without it.
func (l *life) policy() *v1alpha1.RemediationPolicy {
	p := &v1alpha1.RemediationPolicy{}
	err := l.Hand.Get(l.t.Context(), l.key, p)
	l.Expect(client.IgnoreNotFound(err)).To(Succeed())
	if err != nil {
		return nil
	}
	return p
}

// remediations are all that there are.
func (l *life) remediations() []v1alpha1.Remediation {
	list := &v1alpha1.RemediationList{}
	l.Expect(l.Hand.List(l.t.Context(), list, client.InNamespace(l.key.Namespace))).To(Succeed())
	return list.Items
}

// apply creates the policy with a spec, or changes it.
func (l *life) apply(spec v1alpha1.RemediationPolicySpec) {
	p := l.policy()
	if p == nil {
		p = &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: l.key.Namespace, Name: l.key.Name}, Spec: spec}
		l.Expect(l.Hand.Create(l.t.Context(), p)).To(Succeed())
		return
	}
	p.Spec = spec
	l.Expect(l.Hand.Update(l.t.Context(), p)).To(Succeed())
}

// delete deletes an object, if it is there.
func (l *life) delete(o client.Object) {
	l.Expect(client.IgnoreNotFound(l.Hand.Delete(l.t.Context(), o))).To(Succeed())
}

// writePolicy writes the status of the policy by hand.
func (l *life) writePolicy(status v1alpha1.RemediationPolicyStatus) {
	if p := l.policy(); p != nil {
		p.Status = status
		l.Expect(l.Hand.Status().Update(l.t.Context(), p)).To(Succeed())
	}
}

// writeRemediation writes the status of a Remediation by hand.
func (l *life) writeRemediation(r *v1alpha1.Remediation, status v1alpha1.RemediationStatus) {
	l.tampered[string(r.UID)] = true
	r.Status = status
	l.Expect(l.Hand.Status().Update(l.t.Context(), r)).To(Succeed())
}

// restore creates a Remediation as somebody may have kept it, with its status.
func (l *life) restore(tape *crd.Tape) {
	r := tape.Remediation(l.Clock.Now())
	r.Namespace = l.key.Namespace
	at := runcommand.Location{Account: stage.Account, Region: stage.Region}
	r.Name = remediationName(l.key.Namespace, l.key.Name, at, string(r.Spec.InstanceID), r.Spec.Sequence)
	if p := l.policy(); p != nil && tape.Coin() {
		r.Spec.PolicyRef = v1alpha1.PolicyReference{Name: p.Name, UID: p.UID, Generation: p.Generation}
	}
	if tape.Coin() {
		r.Spec.Account, r.Spec.Region = stage.Account, stage.Region
		r.Spec.OpenTime = metav1.NewMicroTime(l.Clock.Now())
		r.Spec.NotAfter = metav1.NewMicroTime(l.Clock.Now().Add(sendWindow))
	}
	status := r.Status
	err := l.Hand.Create(l.t.Context(), r)
	if l.Expect(client.IgnoreAlreadyExists(err)).To(Succeed()); err == nil && tape.Coin() {
		l.writeRemediation(r, status)
	}
}

// plain makes a spec more like those that people have: it finds the nodes, and is not held up for long.
func plain(tape *crd.Tape, spec *v1alpha1.RemediationPolicySpec) {
	spec.Suspend, spec.Region = false, ""
	spec.Targets = v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{"web"}}}}
	spec.Probe.FailureThreshold = min(spec.Probe.FailureThreshold, 3)
	spec.Probe.PeriodSeconds = max(min(spec.Probe.PeriodSeconds, 60), spec.Probe.TimeoutSeconds)
	if tape.Below(4) > 0 {
		spec.MaintenanceWindows, spec.Mode = nil, v1alpha1.ModeEnforce
		spec.Limits.MaxUnhealthy = new(intstr.FromString("100%"))
	}
}

// actedOnce checks that no Remediation was sent twice, nor did anything twice.
func (l *life) actedOnce() {
	l.Expect(l.Fleet.Ledger.Most()).To(BeNumerically("<=", 1), "no step acts twice")
	ran := map[string]int{}
	for _, e := range l.Executions {
		uid, purpose, _ := strings.Cut(e.Comment, "/")
		if e.Kind != ssmlocal.Run || uid == "probe" || purpose == string(v1alpha1.CommandPurposeVerify) {
			continue
		}
		ran[e.Comment]++
		l.Expect(ran[e.Comment] == 1 || l.tampered[uid]).To(BeTrue(), "%s was sent twice", e.Comment)
	}
}

// told checks that the status of the policy tells of it as it is now.
func (l *life) told() {
	p := l.policy()
	if p == nil {
		return
	}
	l.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionHealthy, v1alpha1.ConditionRemediationAllowed} {
		l.Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", kind), HaveField("ObservedGeneration", p.Generation),
			HaveField("Message", Not(BeEmpty())))), "%s is told", kind)
	}
	for _, c := range p.Status.Conditions {
		passing := c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled
		l.Expect(!passing || c.Status == metav1.ConditionTrue).To(BeTrue(), "%s is there only while it is True", c.Type)
	}
}

// atRest checks that another pass at the same moment has nothing to write.
func (l *life) atRest() {
	if l.policy() == nil {
		return
	}
	l.NotifyPolicy(l.key)
	l.Turn()
	before := l.policy()
	l.NotifyPolicy(l.key)
	l.Turn()
	after := l.policy()
	l.Expect(after).To(Equal(before), "the second look brings no news")
}
