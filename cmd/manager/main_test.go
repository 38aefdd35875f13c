// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

const (
	// programName is that under which the tests run this very program as the manager, each one as a process of its own.
	programName = "manager"
	region      = "eu-central-1"
	// patience bounds what the managers do within a period of probes or a few seconds, on a busy machine.
	patience = 2 * time.Minute
)

var cluster *testenv.Cluster

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == programName {
		main()
		return
	}
	os.Exit(testenv.Main(m, &cluster))
}

// cloud is an account with nodes that are told apart by the tag Role.
type cloud struct {
	*ssmlocal.Server
	nodes  map[string]*simulated.Node
	ledger simulated.Ledger
}

func newCloud(t *testing.T, roles ...string) *cloud {
	t.Helper()
	c := &cloud{Server: ssmlocal.New(ssmlocal.Options{Region: region}), nodes: map[string]*simulated.Node{}}
	t.Cleanup(func() { _ = c.Close() })
	for n, role := range roles {
		fleet, err := simulated.NewFleet(c.Server, simulated.FleetOptions{
			Nodes: 1, First: n, Tags: map[string]string{"Role": role}, Booted: time.Now().Add(-time.Hour), Ledger: &c.ledger,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.nodes[role] = fleet.Nodes()[0]
	}
	return c
}

// managerProcess is a manager, and the way on which it reaches the cloud.
type managerProcess struct {
	*testenv.Daemon

	mu    sync.Mutex
	calls int
	// comments are those of its sends.
	comments []string
}

// startManager starts a manager with the rights of the shard web or data of config/sharded, and stops it after the test.
func startManager(t *testing.T, c *cloud, shard string, args ...string) *managerProcess {
	t.Helper()
	g, p, directory := NewWithT(t), &managerProcess{}, t.TempDir()
	front := httptest.NewServer(p.watched(c))
	t.Cleanup(front.Close)
	self, err := os.Executable()
	g.Expect(err).NotTo(HaveOccurred())
	program := filepath.Join(directory, programName)
	g.Expect(os.Symlink(self, program)).To(Succeed())
	p.Daemon, err = cluster.StartManager(testenv.ManagerOptions{
		Directory: directory, Binary: program, Endpoint: front.URL, Region: region, Shard: shard, Arguments: args,
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		_ = p.Stop()
		if t.Failed() {
			t.Logf("--- log of the manager %s\n%s", shard, p.log())
		}
	})
	return p
}

func (p *managerProcess) log() string {
	log, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(log)
}

// watched writes down the calls of the manager on their way.
func (p *managerProcess) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // The manager has ended.
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var send struct{ Comment string }
		p.mu.Lock()
		p.calls++
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendCommand") && json.Unmarshal(body, &send) == nil {
			p.comments = append(p.comments, send.Comment)
		}
		p.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// called is how often it has called AWS.
func (p *managerProcess) called() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// sends are the comments of its sends.
func (p *managerProcess) sends() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.comments...)
}

// probed are the uids of the policies that it has probed.
func (p *managerProcess) probed() []string {
	uids := map[string]bool{}
	for _, comment := range p.sends() {
		if rest, probe := strings.CutPrefix(comment, "probe/"); probe {
			uid, _, _ := strings.Cut(rest, "/")
			uids[uid] = true
		}
	}
	var probed []string
	for uid := range uids {
		probed = append(probed, uid)
	}
	return probed
}

// makeNamespaces makes the namespaces that config/sharded names, and installs it.
func makeNamespaces(t *testing.T) {
	t.Helper()
	g := NewWithT(t)
	for _, name := range []string{"web", "shop", "data"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		g.Expect(client.IgnoreAlreadyExists(cluster.Client.Create(t.Context(), namespace))).To(Succeed())
	}
	g.Expect(cluster.InstallShards(t.Context())).To(Succeed())
}

// apply creates a policy over the nodes of a role, and deletes it after the test. Its name is its own: the attempts of one of
// that name would still count.
func apply(t *testing.T, namespace, role string, labels map[string]string) *v1alpha1.RemediationPolicy {
	t.Helper()
	policy := &v1alpha1.RemediationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: role + "-", Labels: labels},
		Spec: v1alpha1.RemediationPolicySpec{
			Targets:  v1alpha1.Targets{Tags: []v1alpha1.Tag{{Key: "Role", Values: []string{role}}}},
			Process:  v1alpha1.ProcessSpec{Name: "httpd"},
			Probe:    v1alpha1.ProbeSpec{PeriodSeconds: 10, TimeoutSeconds: 5, FailureThreshold: 1},
			Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "systemctl start httpd"}}},
		},
	}
	NewWithT(t).Expect(cluster.Client.Create(t.Context(), policy)).To(Succeed())
	t.Cleanup(func() { _ = cluster.Client.Delete(context.Background(), policy) })
	return policy
}

// read reads a policy anew.
func read(ctx context.Context, policy *v1alpha1.RemediationPolicy) *v1alpha1.RemediationPolicy {
	now := &v1alpha1.RemediationPolicy{}
	if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(policy), now); err != nil {
		return &v1alpha1.RemediationPolicy{}
	}
	return now
}

// condition is a condition of a policy as "True/AllHealthy".
func condition(ctx context.Context, policy *v1alpha1.RemediationPolicy, kind string) string {
	c := meta.FindStatusCondition(read(ctx, policy).Status.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

// becomes waits until policies have a condition.
func becomes(t *testing.T, kind, want string, policies ...*v1alpha1.RemediationPolicy) {
	t.Helper()
	for _, policy := range policies {
		NewWithT(t).Eventually(condition).WithArguments(t.Context(), policy, kind).WithTimeout(patience).
			Should(Equal(want), "%s/%s", policy.Namespace, policy.Name)
	}
}
