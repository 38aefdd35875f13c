// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/shard"
)

// options are what the flags say. AWS is not among them: the SDK takes credentials from its own sources (environment, web
// identity, container endpoint, instance metadata), and the default region from AWS_REGION or its configuration file.
type options struct {
	namespace      string
	shard          shard.Shard
	metricsAddress string
	healthAddress  string
	leaderElect    bool
	leaseDuration  time.Duration
	renewDeadline  time.Duration
	retryPeriod    time.Duration
	callsPerSecond float64
}

func (o *options) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"),
		"Namespace that the manager runs in: of its lease, and of the kill switch, the ConfigMap ssm-remediator-stop. Defaults to "+
			"the environment variable POD_NAMESPACE.")
	flags.Func("watch-namespaces",
		"Namespaces whose policies and Remediations this manager looks after, separated by commas. All, when it is empty or not given.",
		func(list string) (err error) {
			o.shard.Namespaces, err = shard.ParseNamespaces(list)
			return err
		})
	flags.Func("policy-selector",
		"Label selector of the policies that this manager acts on. All, when it is empty or not given. Remediations are counted "+
			"whatever policy they are of.",
		func(selector string) (err error) {
			o.shard.Policies, err = shard.ParsePolicies(selector)
			return err
		})
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080",
		"Address of the Prometheus metrics endpoint (/metrics), or 0 for none.")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081",
		"Address of the endpoints /healthz and /readyz, or 0 for none.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Let one of several replicas work at a time. Needed with more than one replica. The name of the lease follows from "+
			"--watch-namespaces and --policy-selector: managers that are responsible for the same share one, others do not.")
	flags.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second,
		"How long the others wait for a leader that is not heard of, before one of them takes over. Whole seconds.")
	flags.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second,
		"How long a leader that cannot renew its lease goes on, before it ends. Less than the lease duration.")
	flags.DurationVar(&o.retryPeriod, "leader-elect-retry-period", 2*time.Second,
		"How long to wait between two tries to take or renew the lease.")
	flags.Float64Var(&o.callsPerSecond, "aws-calls-per-second", 10,
		"Most calls of Systems Manager a second in each account and region; half as many at once after a pause. AWS publishes no limit "+
			"for Run Command, and shares it among all callers of the account: 10 a second is little beside what the APIs of an account "+
			"usually bear, and still probes about a hundred policies every half minute. While AWS throttles, fewer calls are made by "+
			"themselves; raise this when probing is late and AWS does not throttle. Several managers that share an account share this.")
}

// validate says what is wrong with the options.
func (o *options) validate() error {
	if o.namespace == "" {
		return errors.New("finding the kill switch: say which namespace the manager runs in, by --namespace or POD_NAMESPACE")
	}
	if o.callsPerSecond <= 0 || math.IsNaN(o.callsPerSecond) || math.IsInf(o.callsPerSecond, 1) {
		return fmt.Errorf("setting the AWS budget: --aws-calls-per-second=%v: give a number of calls greater than 0", o.callsPerSecond)
	}
	return nil
}
