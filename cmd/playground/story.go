// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

//go:embed policy.yaml
var policyYAML string

const (
	// patience is how long each turn of the story may take.
	patience = 2 * time.Minute
	// lookInterval is how often it is looked whether it has come.
	lookInterval = 200 * time.Millisecond
)

// tell tells the story: apply, healthy, kill, detected, recovered, verified.
func tell(ctx context.Context, cluster *cluster, fleet *fleet) error {
	chapter("A policy says which process has to run where, and how to bring it back")
	say("%s", indent(policyYAML))
	if err := show(ctx, cluster, policyYAML, "apply", "-f", "-"); err != nil {
		return err
	}
	say("Waiting until every instance was probed ...")
	if err := await(ctx, "the fleet to be healthy", func() (bool, error) { return allHealthy(ctx, cluster) }); err != nil {
		return err
	}
	if err := show(ctx, cluster, "", "get", "remediationpolicies"); err != nil {
		return err
	}

	victim := fleet.instances[1]
	chapter(fmt.Sprintf("A web server dies: kill -9 on %s", victim.id))
	if err := victim.kill(); err != nil {
		return err
	}
	say("%s: %s", victim.url(), victim.answer())
	say("Waiting for the next probe, its confirmation, and the recovery (up to %d s) ...", 20)
	var remediation *v1alpha1.Remediation
	err := await(ctx, "a Remediation to end", func() (bool, error) {
		var err error
		remediation, err = ended(ctx, cluster)
		return remediation != nil, err
	})
	if err != nil {
		return err
	}
	for _, kind := range []string{"remediations", "remediationpolicies"} {
		if err := show(ctx, cluster, "", "get", kind); err != nil {
			return err
		}
	}
	say("%s: %s", victim.url(), victim.answer())
	return verify(remediation, victim)
}

// verify is the point of the story: the record says Recovered, and the web server answers.
func verify(remediation *v1alpha1.Remediation, victim *instance) error {
	complete := meta.FindStatusCondition(remediation.Status.Conditions, v1alpha1.ConditionComplete)
	switch {
	case complete.Reason != string(v1alpha1.ResultRecovered):
		return fmt.Errorf("the Remediation ended as %s: %s", complete.Reason, complete.Message)
	case string(remediation.Spec.InstanceID) != victim.id:
		return fmt.Errorf("the Remediation was of %s, not of %s", remediation.Spec.InstanceID, victim.id)
	case !victim.up():
		return fmt.Errorf("the web server of %s does not answer: %s", victim.id, victim.answer())
	}
	return nil
}

func allHealthy(ctx context.Context, cluster *cluster) (bool, error) {
	policy := &v1alpha1.RemediationPolicy{}
	if err := cluster.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "web"}, policy); err != nil {
		return false, fmt.Errorf("reading the policy: %w", err)
	}
	return meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionHealthy), nil
}

// ended returns the Remediation that has ended, if there is one.
func ended(ctx context.Context, cluster *cluster) (*v1alpha1.Remediation, error) {
	list := &v1alpha1.RemediationList{}
	if err := cluster.Client.List(ctx, list, client.InNamespace("default")); err != nil {
		return nil, fmt.Errorf("listing Remediations: %w", err)
	}
	for i := range list.Items {
		if meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionComplete) {
			return &list.Items[i], nil
		}
	}
	return nil, nil
}

// await looks until something has come.
func await(ctx context.Context, what string, come func() (bool, error)) error {
	deadline := time.After(patience)
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		if done, err := come(); err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("waited %s for %s", patience, what)
		case <-ticker.C:
		}
	}
}

// show runs kubectl and shows the command and what it printed.
func show(ctx context.Context, cluster *cluster, stdin string, args ...string) error {
	say("$ kubectl %s", strings.Join(args, " "))
	output, err := cluster.Kubectl(ctx, stdin, args...)
	if err != nil {
		return err
	}
	say("%s", indent(output))
	return nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// invite says what to try while the playground stays up.
func invite(cluster *cluster, fleet *fleet, manager *testenv.Daemon) {
	chapter("It is yours now, until Ctrl-C")
	say("In another terminal:")
	say("  export KUBECONFIG=%s", cluster.Kubeconfig())
	say("  alias kubectl=%s/kubectl", cluster.Assets())
	say("  kubectl get remediationpolicies,remediations -o wide")
	say("  kubectl describe remediationpolicy web")
	say("Kill another web server and watch:")
	for _, instance := range fleet.instances {
		say("  pkill -9 -f 'web-server %s'    # %s", instance.address, instance.id)
	}
	say("Hold an instance, so that nothing is done to it:")
	say("  touch %s", fleet.instances[0].machine.Path("/run/ssm-remediator/hold"))
	say("Apply a policy of your own: config/samples has some to start from. Or stop this one for a while:")
	say(`  kubectl patch remediationpolicy web --type=merge -p '{"spec":{"suspend":true}}'`)
	say("The manager logs into %s", manager.LogFile)
}
