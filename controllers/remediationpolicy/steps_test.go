// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/decide"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

const restartWeb = "restart-web"

// attempt is one Remediation of a simulated node, without the probes that would have led to it.
type attempt struct {
	*world
	*simulated.Node
	ledger *simulated.Ledger
	key    client.ObjectKey
	uid    string
	// begun is when the attempt was opened.
	begun time.Time
}

func document() v1alpha1.RecoveryStep {
	return v1alpha1.RecoveryStep{
		Document:       &v1alpha1.DocumentStep{Name: restartWeb},
		TimeoutSeconds: new(int32(60)), VerifySeconds: new(int32(30)),
	}
}

func reboot() v1alpha1.RecoveryStep {
	return v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}, VerifySeconds: new(int32(300))}
}

// newAttempt opens the attempt of a step on a node on which the process is down.
func newAttempt(step v1alpha1.RecoveryStep, changes ...func(*v1alpha1.RemediationSpec)) *attempt {
	w := newWorld(0)
	Expect(w.server.AddDocument(ssmlocal.Document{Name: restartWeb, Versions: []ssmlocal.DocumentVersion{{
		Parameters: []ssmlocal.Parameter{{Name: "unit", Default: []string{"httpd"}, AllowedPattern: "^[a-z]+$"}},
		Steps: []ssmlocal.Step{
			{Name: "stop", Script: "systemctl stop {{ unit }}"}, {Name: "start", Script: "systemctl start {{ unit }}"},
		},
	}}})).To(Succeed())
	fleet, err := simulated.NewFleet(w.server, simulated.FleetOptions{Nodes: 1, Booted: w.clock.Now().Add(-time.Hour)})
	Expect(err).NotTo(HaveOccurred())
	w.apply(func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.Steps = []v1alpha1.RecoveryStep{step} })
	a := &attempt{world: w, Node: fleet.Nodes()[0], ledger: fleet.Ledger, begun: w.clock.Now()}
	a.Fail(a.begun)
	now := metav1.NewMicroTime(a.begun)
	policy := w.policy()
	r := &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: "httpd-1", Finalizers: []string{v1alpha1.FinalizerInFlight},
			Labels: map[string]string{v1alpha1.LabelPolicy: policy.Name},
		},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{Name: policy.Name, UID: policy.UID, Generation: policy.Generation},
			Account:   location.Account, Region: location.Region, InstanceID: v1alpha1.InstanceID(a.ID()),
			Sequence: 1, Attempt: 1, Process: policy.Spec.Process, CheckTimeoutSeconds: 10, Step: step, OpenTime: now,
			Detection: v1alpha1.Detection{
				Source: v1alpha1.DetectionSourceProbe, Reason: "ProcessNotRunning", FirstFailureTime: now, Time: now,
			},
			NotAfter: metav1.NewMicroTime(a.begun.Add(sendWindow)), TTLSecondsAfterFinished: 604800,
		},
	}
	for _, change := range changes {
		change(&r.Spec)
	}
	Expect(cluster.Client.Create(w.ctx, r)).To(Succeed())
	a.key, a.uid = client.ObjectKeyFromObject(r), string(r.UID)
	return a
}

// step lets every replica do what it has to do at this moment. One that is killed meanwhile is replaced.
func (a *attempt) step() {
	for _, r := range a.replicas {
		if a.stepOf(r) {
			a.replicas = nil
			a.addReplica()
		}
	}
}

func (a *attempt) stepOf(r *replica) (died bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, died = p.(killed); !died {
				panic(p)
			}
		}
	}()
	for range 2 {
		_, _ = r.remediations.Reconcile(a.ctx, ctrl.Request{NamespacedName: a.key})
		r.regions.Get(location).Step(a.ctx)
	}
	return false
}

// until lets time pass until so long after the beginning, or the end of the attempt: second by second at first, and less
// closely when nothing but long waits are to come.
func (a *attempt) until(end time.Duration) {
	const closely = time.Minute
	for a.step(); a.clock.Since(a.begun) < end && a.result() == v1alpha1.ResultRunning; a.step() {
		if a.clock.Since(a.begun) < closely {
			a.clock.Step(time.Second)
		} else {
			a.clock.Step(5 * time.Second)
		}
	}
}

// overall is enough for every attempt to end: for a command that is never found, and whose lists fail.
const overall = time.Hour

func (a *attempt) remediation() *v1alpha1.Remediation {
	r := &v1alpha1.Remediation{}
	Expect(cluster.Client.Get(a.ctx, a.key, r)).To(Succeed())
	return r
}

// result is empty when the Remediation is gone.
func (a *attempt) result() v1alpha1.Result {
	r := &v1alpha1.Remediation{}
	err := cluster.Client.Get(a.ctx, a.key, r)
	if apierrors.IsNotFound(err) {
		return ""
	}
	Expect(err).NotTo(HaveOccurred())
	return decide.ResultOf(r)
}

// told are the events of the first replica.
func (a *attempt) told() []string {
	recorder := a.replicas[0].remediations.Events.(*events.FakeRecorder)
	var told []string
	for len(recorder.Events) > 0 {
		told = append(told, <-recorder.Events)
	}
	return told
}

// message is that of the condition.
func (a *attempt) message() string {
	return meta.FindStatusCondition(a.remediation().Status.Conditions, v1alpha1.ConditionComplete).Message
}

// purposes are those of the commands in status.
func (a *attempt) purposes() []v1alpha1.CommandPurpose {
	var purposes []v1alpha1.CommandPurpose
	for _, command := range a.remediation().Status.Commands {
		purposes = append(purposes, command.Purpose)
	}
	return purposes
}

// acts are what was really done to the node by the attempt, a document once for all of its steps.
func (a *attempt) acts() []string {
	var acts []string
	seen := map[string]bool{}
	for _, effect := range a.ledger.Of(a.uid) {
		if !seen[effect.CommandID] {
			acts = append(acts, effect.Action)
		}
		seen[effect.CommandID] = true
	}
	return acts
}

// executions are those of the commands for a purpose.
func (a *attempt) executions(purpose v1alpha1.CommandPurpose) []ssmlocal.Entry {
	var entries []ssmlocal.Entry
	for _, entry := range a.server.Ledger() {
		if entry.Comment == a.uid+"/"+string(purpose) {
			entries = append(entries, entry)
		}
	}
	return entries
}

// sendsOf makes the first so many sends for a purpose go wrong.
func sendsOf(purpose v1alpha1.CommandPurpose, most int, f ssmlocal.Fault) ssmlocal.Faults {
	seen := 0
	return func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Operation == "SendCommand" && strings.HasSuffix(c.Comment, "/"+string(purpose)) && seen < most {
			seen++
			return f
		}
		return ssmlocal.Fault{}
	}
}

// killed is the panic of a replica that is killed.
type killed struct{}

// mortal is a client that calls at before and after each of its writes.
type mortal struct {
	client.Client
	at func(after bool)
}

func (m mortal) Status() client.SubResourceWriter { return mortalStatus{m.Client.Status(), m.at} }

func (m mortal) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	m.at(false)
	err := m.Client.Patch(ctx, o, p, opts...)
	m.at(true)
	return err
}

type mortalStatus struct {
	client.SubResourceWriter
	at func(after bool)
}

func (m mortalStatus) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	m.at(false)
	err := m.SubResourceWriter.Patch(ctx, o, p, opts...)
	m.at(true)
	return err
}
