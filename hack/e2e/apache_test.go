// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e_test plays the well-known recipe for real: the distribution's Apache on an instance dies and is brought back.
// Everything is real but AWS: the API server, the manager as a process with the rights of its service account, the AWS SDK
// over HTTP, the commands as processes on the instance, and Apache.
package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

const (
	instanceID = "i-0a1b2c3d4e5f60718"
	region     = "eu-central-1"
	// probeTime bounds the time until the fleet was probed, and recoveryTime the time from the death of Apache until it
	// answers again: a period, a confirmation, the probes and the recovery, on a slow machine.
	probeTime    = time.Minute
	recoveryTime = 2 * time.Minute
	// throttledTime is how long AWS throttles sends in the test of that. One is tried again after a second, and then less often until
	// that is every 2 s.
	throttledTime = 30 * time.Second
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "End to end")
}

var (
	cluster *testenv.Cluster
	server  *ssmlocal.Server
	node    *machine.Machine
	address string
)

var _ = BeforeSuite(func(ctx SpecContext) {
	directory := GinkgoT().TempDir()
	binary := filepath.Join(directory, "manager")
	build := exec.Command("go", "build", "-o", binary, "github.com/ssm-remediator/ssm-remediator/cmd/manager")
	output, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))

	cluster, err = testenv.Start(context.Background())
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return cluster.Stop() })
	Expect(cluster.InstallManager(ctx)).To(Succeed())

	node, err = machine.Start(ctx, machine.Options{Hostname: "web-1"})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return node.Stop() })
	installApache()

	server = ssmlocal.New(ssmlocal.Options{Region: region})
	Expect(server.Start("")).To(Succeed())
	DeferCleanup(func() error { return server.Close() })
	Expect(server.AddInstance(ssmlocal.Instance{
		ID: instanceID, Tags: map[string]string{"Role": "web"}, Runner: &ssmlocal.Local{Machine: node},
	})).To(Succeed())

	manager, err := cluster.StartManager(testenv.ManagerOptions{
		Directory: directory, Binary: binary, Endpoint: server.URL(), Region: region,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error {
		if CurrentSpecReport().Failed() {
			log, _ := os.ReadFile(manager.LogFile)
			GinkgoWriter.Printf("%s\n", log)
		}
		return manager.Stop()
	})
})

// apacheConfiguration is Debian's own way to run a second instance of Apache (APACHE_CONFDIR), on loopback.
const apacheConfiguration = `
ServerName localhost
Listen %s
PidFile /run/apache2/apache2.pid
ErrorLog /run/apache2/error.log
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
DocumentRoot /run/www
<Directory /run/www>
  Require all granted
</Directory>
`

const apacheEnvironment = `
export APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data APACHE_PID_FILE=/run/apache2/apache2.pid
export APACHE_RUN_DIR=/run/apache2 APACHE_LOCK_DIR=/run/apache2 APACHE_LOG_DIR=/run/apache2 LANG=C
`

func installApache() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	address = listener.Addr().String()
	Expect(listener.Close()).To(Succeed())
	for path, text := range map[string]string{
		"/run/httpd/apache2.conf": fmt.Sprintf(apacheConfiguration, address),
		"/run/httpd/envvars":      apacheEnvironment,
		"/run/www/index.html":     "It works!\n",
	} {
		Expect(os.MkdirAll(filepath.Dir(node.Path(path)), 0o755)).To(Succeed())
		Expect(os.WriteFile(node.Path(path), []byte(text), 0o644)).To(Succeed())
	}
	run("APACHE_CONFDIR=/run/httpd apachectl start")
	Eventually(answers).WithTimeout(30 * time.Second).Should(Succeed())
}

// run runs a command on the instance.
func run(command string) {
	GinkgoHelper()
	output, err := node.Command("sh", "-c", command).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
}

// answers asks Apache for its page.
func answers() error {
	response, err := (&http.Client{Timeout: time.Second}).Get("http://" + address + "/")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("apache answers %s", response.Status)
	}
	return nil
}

// apply applies a policy with kubectl, waits until its fleet is healthy, and deletes it after the test.
func apply(ctx context.Context, name, process, recovery string) {
	GinkgoHelper()
	_, err := cluster.Kubectl(ctx, fmt.Sprintf(`
apiVersion: ssm-remediator.io/v1alpha1
kind: RemediationPolicy
metadata: {name: %s, namespace: default}
spec:
  targets: {tags: [{key: Role, values: [web]}]}
  process: {%s}
  probe: {periodSeconds: 10, timeoutSeconds: 5, confirmSeconds: 1, startupGraceSeconds: 0}
  recovery: {steps: [{command: %q}]}
`, name, process, recovery), "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) {
		_, err := cluster.Kubectl(ctx, "", "delete", "remediationpolicy", name)
		Expect(err).NotTo(HaveOccurred())
	})
	Eventually(func(g Gomega) {
		policy := &v1alpha1.RemediationPolicy{}
		g.Expect(cluster.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, policy)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionHealthy)).To(BeTrue())
	}).WithTimeout(probeTime).Should(Succeed())
}

// results are the results of all Remediations of a policy.
func results(ctx context.Context, name string) []string {
	list := &v1alpha1.RemediationList{}
	Expect(cluster.Client.List(ctx, list, client.MatchingLabels{v1alpha1.LabelPolicy: name})).To(Succeed())
	var results []string
	for _, r := range list.Items {
		if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionComplete); c != nil {
			results = append(results, c.Reason)
		}
	}
	return results
}

var _ = Describe("Apache", func() {
	It("that was killed is brought back and answers again", func(ctx SpecContext) {
		apply(ctx, "apache", "name: apache2", "APACHE_CONFDIR=/run/httpd apachectl start")

		run("kill -9 $(pidof apache2)")
		Expect(answers()).NotTo(Succeed())

		Eventually(answers).WithTimeout(recoveryTime).Should(Succeed())
		Eventually(results).WithArguments(ctx, "apache").WithTimeout(time.Minute).Should(Equal([]string{"Recovered"}))
		table, err := cluster.Kubectl(ctx, "", "get", "remediations")
		Expect(err).NotTo(HaveOccurred())
		GinkgoWriter.Println(table)
	})

	It("is brought back when AWS throttles, without a storm of sends", func(ctx SpecContext) {
		apply(ctx, "apache-throttled", "name: apache2", "APACHE_CONFDIR=/run/httpd apachectl start")
		var refused atomic.Int32
		begun := time.Now()
		server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
			if c.Operation != "SendCommand" || !strings.HasSuffix(c.Comment, "/Run") || time.Since(begun) > throttledTime {
				return ssmlocal.Fault{}
			}
			refused.Add(1)
			return ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
		})
		DeferCleanup(func() { server.SetFaults(nil) })

		run("kill -9 $(pidof apache2)")

		Eventually(answers).WithTimeout(recoveryTime).Should(Succeed())
		Eventually(results).WithArguments(ctx, "apache-throttled").WithTimeout(time.Minute).Should(Equal([]string{"Recovered"}))
		Expect(refused.Load()).To(BeNumerically(">", 0))
		Expect(refused.Load()).To(BeNumerically("<=", throttledTime/(1500*time.Millisecond)))
	})

	It("that hangs is found by an HTTP check and restarted", func(ctx SpecContext) {
		apply(ctx, "apache-http", fmt.Sprintf("command: 'curl -fsS -o /dev/null -m 3 http://%s/'", address),
			"kill -9 $(pidof apache2); rm -f /run/apache2/apache2.pid; APACHE_CONFDIR=/run/httpd apachectl start")

		run("kill -STOP $(pidof apache2)")
		Expect(answers()).NotTo(Succeed())

		Eventually(answers).WithTimeout(recoveryTime).Should(Succeed())
		Eventually(results).WithArguments(ctx, "apache-http").WithTimeout(time.Minute).Should(Equal([]string{"Recovered"}))
	})
})
