// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !scaled

package main

import (
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"k8s.io/utils/clock"
)

// timing is the clock of the manager, and what the AWS SDK has to be told of it. A build with the tag scaled, for the crash
// tests, runs on a faster one.
func timing() (clock.WithTicker, []func(*awsconfig.LoadOptions) error, error) {
	return clock.RealClock{}, nil, nil
}
