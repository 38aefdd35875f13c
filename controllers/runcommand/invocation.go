// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// outputLimit is how much of the outputs of all steps of a document is kept, in bytes: as much as AWS keeps of one stdout.
const outputLimit = 24000

// invocationFrom makes one of what a list tells of a command on a node.
func invocationFrom(i *types.CommandInvocation) Invocation {
	details := aws.ToString(i.StatusDetails)
	if details == "" {
		details = string(i.Status)
	}
	return Invocation{
		CommandID:    aws.ToString(i.CommandId),
		InstanceID:   aws.ToString(i.InstanceId),
		Status:       parseStatus(details),
		StatusText:   details,
		ResponseCode: codeOf(i.CommandPlugins),
		Output:       outputOf(i.CommandPlugins),
	}
}

// codeOf is the code of the first step that did not succeed, because the steps after a failed one run all the same; else
// that of the last.
func codeOf(steps []types.CommandPlugin) int {
	code := 0
	for i := range steps {
		code = int(steps[i].ResponseCode)
		if status := pluginStatus(&steps[i]); status.Final() && status != StatusSuccess {
			break
		}
	}
	return code
}

func pluginStatus(step *types.CommandPlugin) Status {
	if details := aws.ToString(step.StatusDetails); details != "" {
		return parseStatus(details)
	}
	return parseStatus(string(step.Status))
}

// outputOf joins what the steps have printed, each from a line of its own.
func outputOf(steps []types.CommandPlugin) string {
	var all strings.Builder
	for i := range steps {
		output := aws.ToString(steps[i].Output)
		if all.Len() > 0 && output != "" && !strings.HasSuffix(all.String(), "\n") {
			all.WriteByte('\n')
		}
		all.WriteString(output)
	}
	if all.Len() <= outputLimit {
		return all.String()
	}
	return strings.ToValidUTF8(all.String()[:outputLimit], "")
}
