// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv gives a test package a real etcd and kube-apiserver with the CRDs of config/crd. Starting them takes
// seconds, so a package does it once, in TestMain, and its tests keep apart by namespaces:
//
//	var cluster *testenv.Cluster
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &cluster)) }
//
// There is no kube-controller-manager: nothing collects garbage and a deleted namespace never goes away.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// assetsVariable is envtest's own name for the directory with etcd, kube-apiserver and kubectl.
const assetsVariable = "KUBEBUILDER_ASSETS"

// patience is how long the control plane may take to start or stop. It takes about 5 s; machines that build other things
// at the same time have been seen to need a minute.
const patience = 2 * time.Minute

// Cluster is a running control plane.
type Cluster struct {
	// Config authenticates as a member of system:masters.
	Config *rest.Config
	// Client reads and writes live, without a cache, as that user. It knows the kinds of Kubernetes and ours.
	Client client.Client
	// Root is the directory of the repository.
	Root string

	environment *envtest.Environment
	directory   string
	// namespaces is how many there were so far for tests.
	namespaces atomic.Int64
}

// Main runs the tests of a package against a control plane of its own, which it puts into *cluster before and stops
// after them. It returns the code for os.Exit; when the control plane does not start it prints why and returns 1.
func Main(m *testing.M, cluster **Cluster) int {
	started, err := Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*cluster = started
	code := m.Run()
	if err := started.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Start starts etcd and kube-apiserver from KUBEBUILDER_ASSETS, installs the CRDs and waits until they are served, at
// most until ctx is done. When the variable is not set, the error says what to run. The caller has to call Stop.
func Start(ctx context.Context) (*Cluster, error) {
	if os.Getenv(assetsVariable) == "" {
		return nil, errors.New(assetsVariable + ` is not set: use "make test" or "make demo", or first ` +
			`"export ` + assetsVariable + `=$(hack/controlplane/assets.sh)" in the directory of the repository`)
	}
	root, err := RepositoryRoot()
	if err != nil {
		return nil, fmt.Errorf("finding the repository: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	cluster := &Cluster{Root: root, environment: &envtest.Environment{
		Scheme:                   scheme,
		CRDDirectoryPaths:        []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: patience,
		ControlPlaneStopTimeout:  patience,
		// Set, so that USE_EXISTING_CLUSTER in somebody's environment does not point the tests at a real cluster.
		UseExistingCluster: new(false),
	}}
	if err := cluster.start(ctx, scheme); err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return cluster, nil
}

func (c *Cluster) start(ctx context.Context, scheme *runtime.Scheme) error {
	var err error
	if c.Config, err = c.environment.Start(); err != nil {
		return fmt.Errorf("starting the control plane: %w", err)
	}
	if c.Client, err = client.New(c.Config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	if err := c.Client.List(ctx, &v1alpha1.RemediationPolicyList{}); err != nil {
		return fmt.Errorf("listing policies on the new control plane: %w", err)
	}
	if c.directory, err = os.MkdirTemp("", "testenv-"); err != nil {
		return fmt.Errorf("creating a directory for the kubeconfig: %w", err)
	}
	if err := os.WriteFile(c.Kubeconfig(), c.environment.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// Stop ends both processes and removes what they wrote.
func (c *Cluster) Stop() error {
	if err := errors.Join(c.environment.Stop(), os.RemoveAll(c.directory)); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

// NewNamespace creates a namespace for one test and returns its name. Names follow from the order: the same tests run with the same ones.
func (c *Cluster) NewNamespace(t testing.TB) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("test-", c.namespaces.Add(1))}}
	if err := c.Client.Create(t.Context(), namespace); err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	return namespace.Name
}

// RepositoryRoot returns the nearest directory upward from the working directory, which in a test is its package's, that
// holds the Makefile.
func RepositoryRoot() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(directory, "Makefile"))
		if err == nil {
			return directory, nil
		}
		parent := filepath.Dir(directory)
		if !errors.Is(err, fs.ErrNotExist) || parent == directory {
			return "", fmt.Errorf("no Makefile in the working directory or above it: %w", err)
		}
		directory = parent
	}
}
