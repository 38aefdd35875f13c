// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build scaled

package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/hack/chaos/scaled" //nolint:depguard // This build is for the crash tests only.
)

// callTimeout stands in for the deadlines of calls, which are real time: after this time of our clock AWS has not answered.
const callTimeout = 15 * time.Second

// timing is the clock that the crash tests hand over. The pauses and time-outs of the SDK are scaled with it.
func timing() (clock.WithTicker, []func(*awsconfig.LoadOptions) error, error) {
	clk, err := scaled.FromEnvironment()
	if err != nil {
		return nil, nil, err
	}
	backoff := retry.NewExponentialJitterBackoff(retry.DefaultMaxBackoff)
	pause := retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
		d, delayErr := backoff.BackoffDelay(attempt, err)
		return clk.Real(d), delayErr
	})
	return clk, []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(clk.Real(callTimeout))),
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.Backoff = pause })
		}),
	}, nil
}
