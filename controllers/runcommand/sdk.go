// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// API is what we call of the SDK, with its own signatures. config/iam grants exactly these.
type API interface {
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
	ListCommandInvocations(
		context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options),
	) (*ssm.ListCommandInvocationsOutput, error)
	GetCommandInvocation(
		context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options),
	) (*ssm.GetCommandInvocationOutput, error)
	CancelCommand(context.Context, *ssm.CancelCommandInput, ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error)
	DescribeInstanceInformation(
		context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options),
	) (*ssm.DescribeInstanceInformationOutput, error)
}

var _ API = (*ssm.Client)(nil)
