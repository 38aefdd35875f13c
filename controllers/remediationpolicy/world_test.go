// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/remediation"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

var cluster *testenv.Cluster

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &cluster)) }

func TestIncidents(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Incidents")
}

// world is a namespace of the API server, a Systems Manager of its own with scripted nodes, and one or more replicas of the
// controllers, none of which does anything but when it is stepped.
type world struct {
	ctx       context.Context
	namespace string
	// home is the namespace of the manager.
	home     string
	clock    *clocktesting.FakeClock
	server   *ssmlocal.Server
	replicas []*replica
	// budget is that of the replicas that are added; by default they have no limit.
	budget runcommand.BudgetOptions

	mu    sync.Mutex
	nodes map[string]*node
	// slow is how long a probe takes.
	slow time.Duration
}

// node is a scripted node that speaks as the scripts do.
type node struct {
	// up is whether the process runs.
	up bool
	// held makes every look answer Held, and silent makes the node take commands and never answer.
	held, silent bool
	// exit is what the recovery step exits with, and helps whether it brings the process up.
	exit  int
	helps bool
	// takes is how long a recovery takes.
	takes time.Duration
	// steps are the commands that recoveries ran, in order.
	steps []string
}

// replica is one set of controllers.
type replica struct {
	regions      *runcommand.Regions
	prober       *Prober
	policies     *Reconciler
	remediations *remediation.Reconciler
}

var location = runcommand.Location{Account: "123456789012", Region: "eu-central-1"}

func newWorld(nodes int, options ...func(*ssmlocal.Options)) *world {
	w := &world{
		ctx:       context.Background(),
		namespace: cluster.NewNamespace(GinkgoTB()),
		home:      cluster.NewNamespace(GinkgoTB()),
		clock:     clocktesting.NewFakeClock(time.Date(2026, 3, 29, 12, 0, 0, 123456789, time.UTC)),
		nodes:     map[string]*node{},
	}
	o := ssmlocal.Options{Clock: w.clock, ReadLag: new(time.Duration(0))}
	for _, change := range options {
		change(&o)
	}
	w.server = ssmlocal.New(o)
	Expect(w.server.Start("")).To(Succeed())
	DeferCleanup(w.server.Close)
	for n := range nodes {
		Expect(w.server.AddInstance(scripted(w, n, map[string]string{"Role": "web"}))).To(Succeed())
	}
	w.addReplica()
	return w
}

// id is the id of the n-th node.
func id(n int) string { return fmt.Sprintf("i-%017x", n) }

// scripted is the n-th node, with tags.
func scripted(w *world, n int, tags map[string]string) ssmlocal.Instance {
	w.nodes[id(n)] = &node{up: true, helps: true}
	return ssmlocal.Instance{ID: id(n), Tags: tags, Runner: ssmlocal.Scripted(w.run)}
}

// set changes the n-th node.
func (w *world) set(n int, change func(*node)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w.nodes[id(n)])
}

func down(n *node) { n.up = false }
func up(n *node)   { n.up = true }

func silent(n *node) { n.silent = true }

// run is what the agent of a node does with a script: answer as it would.
func (w *world) run(e ssmlocal.Execution) ssmlocal.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.nodes[e.InstanceID]
	if n.silent {
		return ssmlocal.Outcome{NoAnswer: true}
	}
	if strings.HasPrefix(e.Comment, "probe/") {
		probed := n.probe(e)
		probed.Delay = w.slow
		return probed
	}
	recovery := n.recover(e)
	recovery.Delay = n.takes
	return recovery
}

func (n *node) look(e ssmlocal.Execution, kind string) string {
	health, reason := "Healthy", "ProcessRunning"
	switch {
	case n.held:
		health, reason = "Held", "HoldFile"
	case !n.up:
		health, reason = "Unhealthy", "ProcessNotRunning"
	}
	return fmt.Sprintf("ssm-remediator/v1 %s %s time=%d health=%s reason=%s boot=- uptime=9999 msg=as scripted\n",
		e.Comment, kind, e.Start.Unix(), health, reason)
}

func (n *node) probe(e ssmlocal.Execution) ssmlocal.Outcome {
	return ssmlocal.Outcome{Stdout: n.look(e, "probed"), ExitCode: exitCode(n.up && !n.held)}
}

func exitCode(ok bool) int {
	if ok {
		return 0
	}
	return 1
}

func (n *node) recover(e ssmlocal.Execution) ssmlocal.Outcome {
	var b strings.Builder
	say := func(kind, values string) {
		fmt.Fprintf(&b, "ssm-remediator/v1 %s %s time=%d %smsg=as scripted\n", e.Comment, kind, e.Start.Unix(), values)
	}
	say("started", "")
	b.WriteString(n.look(e, "probed"))
	switch {
	case n.held:
		say("done", "result=Withheld reason=HoldFile exit=- ")
		return ssmlocal.Outcome{Stdout: b.String(), ExitCode: 1}
	case n.up:
		say("done", "result=NotNeeded reason=ProcessRunning exit=- ")
		return ssmlocal.Outcome{Stdout: b.String()}
	}
	n.steps = append(n.steps, stepOf(e.Script))
	n.up = n.helps
	say("acting", "")
	say("acted", fmt.Sprintf("exit=%d ", n.exit))
	b.WriteString(n.look(e, "verified"))
	result := v1alpha1.ResultIneffective
	switch {
	case n.up:
		result = v1alpha1.ResultRecovered
	case n.exit != 0:
		result = v1alpha1.ResultFailed
	}
	say("done", fmt.Sprintf("result=%s reason=Scripted exit=%d ", result, n.exit))
	b.WriteString("| output of the step\n")
	return ssmlocal.Outcome{Stdout: b.String(), ExitCode: exitCode(n.up)}
}

// stepOf finds the step's command in a recovery script.
func stepOf(script string) string {
	_, rest, _ := strings.Cut(script, "SR_STEP='")
	step, _, _ := strings.Cut(rest, "'")
	return step
}

// addReplica adds controllers that know nothing yet.
func (w *world) addReplica() {
	config := aws.Config{
		Region: location.Region, BaseEndpoint: aws.String(w.server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		// The SDK's own pauses between tries are real time.
		RetryMaxAttempts: 1,
	}
	r := &replica{regions: runcommand.NewRegions(config, w.clock, w.budget)}
	Expect(r.regions.FindAccount(w.ctx, location.Region)).To(Succeed())
	r.prober = NewProber(r.regions, w.clock, func(types.NamespacedName) {})
	recorder := events.NewFakeRecorder(1000)
	r.policies = &Reconciler{
		Client: slim{cluster.Client}, Live: cluster.Client, Events: recorder, Clock: w.clock, Regions: r.regions, Namespace: w.home,
		Prober: r.prober,
	}
	r.remediations = &remediation.Reconciler{
		Client: slim{cluster.Client}, Live: cluster.Client, Events: recorder, Clock: w.clock, Regions: r.regions, Namespace: w.home,
		Notify: func(types.NamespacedName) {},
	}
	w.replicas = append(w.replicas, r)
}

// apply creates the policy httpd over all nodes with the tag Role=web, after a change of its spec.
func (w *world) apply(change ...func(*v1alpha1.RemediationPolicySpec)) {
	policy := &v1alpha1.RemediationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "httpd"},
		Spec: v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{"web"}}}},
			Process:  v1alpha1.ProcessSpec{Name: "httpd"},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "one"}, {Command: "two"}, {Command: "three"}}},
		},
	}
	for _, c := range change {
		c(&policy.Spec)
	}
	Expect(cluster.Client.Create(w.ctx, policy)).To(Succeed())
}

// together lets all instances be recovered at once, and evenAll even when all of them are down.
func together(s *v1alpha1.RemediationPolicySpec) {
	s.Limits.MaxConcurrent = new(intstr.FromString("100%"))
}
func evenAll(s *v1alpha1.RemediationPolicySpec) {
	s.Limits.MaxUnhealthy = new(intstr.FromString("100%"))
}

// byIDs names the first so many nodes in place of their tags.
func byIDs(nodes int) func(*v1alpha1.RemediationPolicySpec) {
	return func(s *v1alpha1.RemediationPolicySpec) {
		s.Targets = v1alpha1.Targets{}
		for n := range nodes {
			s.Targets.InstanceIDs = append(s.Targets.InstanceIDs, v1alpha1.InstanceID(id(n)))
		}
	}
}

func (w *world) key() client.ObjectKey {
	return client.ObjectKey{Namespace: w.namespace, Name: "httpd"}
}

func (w *world) policy() *v1alpha1.RemediationPolicy {
	policy := &v1alpha1.RemediationPolicy{}
	Expect(cluster.Client.Get(w.ctx, w.key(), policy)).To(Succeed())
	return policy
}

// edit changes the spec of the policy.
func (w *world) edit(change func(*v1alpha1.RemediationPolicySpec)) {
	policy := w.policy()
	change(&policy.Spec)
	Expect(cluster.Client.Update(w.ctx, policy)).To(Succeed())
}

// list returns the Remediations, the oldest attempt first.
func (w *world) list() []v1alpha1.Remediation {
	list := &v1alpha1.RemediationList{}
	Expect(cluster.Client.List(w.ctx, list, client.InNamespace(w.namespace))).To(Succeed())
	slices.SortStableFunc(list.Items, func(a, b v1alpha1.Remediation) int { return a.Spec.OpenTime.Compare(b.Spec.OpenTime.Time) })
	return list.Items
}

// pass lets every replica do what it has to do at this moment.
func (w *world) pass() {
	for _, r := range w.replicas {
		w.passOf(r)
	}
}

func (w *world) passOf(r *replica) {
	for range 2 {
		w.reconcile(r.policies, w.key())
		r.prober.beginQueued(w.ctx)
		for range 2 {
			for _, remediation := range w.list() {
				w.reconcile(r.remediations, client.ObjectKeyFromObject(&remediation))
			}
			r.regions.Get(location).Step(w.ctx)
		}
	}
	w.reconcile(r.policies, w.key())
}

// confirm lets a failed probe be confirmed on the nodes, five seconds after it, without the controllers having read that yet.
func (w *world) confirm() {
	w.clock.Step(5 * time.Second)
	w.reconcile(w.replicas[0].policies, w.key())
	w.replicas[0].prober.beginQueued(w.ctx)
	w.replicas[0].regions.Get(location).Step(w.ctx)
}

// reconcile makes one pass. An error is what the manager would log and try again: it fails no test by itself.
func (w *world) reconcile(r reconcile.Reconciler, key client.ObjectKey) {
	if _, err := r.Reconcile(w.ctx, ctrl.Request{NamespacedName: key}); err != nil {
		GinkgoWriter.Println(w.clock.Now().Format(time.TimeOnly), key.Name, err)
	}
}

// advance lets time pass, second by second.
func (w *world) advance(d time.Duration) {
	for range int(d / time.Second) {
		w.clock.Step(time.Second)
		w.pass()
	}
}

// leap lets time pass at once, for waits in which nothing happens.
func (w *world) leap(d time.Duration) {
	w.clock.Step(d)
	w.pass()
}

// recoveries are the executions of recovery commands on the nodes.
func (w *world) recoveries() []ssmlocal.Entry {
	var recoveries []ssmlocal.Entry
	for _, entry := range w.server.Ledger() {
		if strings.HasSuffix(entry.Comment, "/Run") {
			recoveries = append(recoveries, entry)
		}
	}
	return recoveries
}
