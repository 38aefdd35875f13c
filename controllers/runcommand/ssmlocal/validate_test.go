// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("i-%017x", i+1)
	}
	return list
}

func tags(n int) []types.Target {
	list := make([]types.Target, n)
	for i := range list {
		list[i] = types.Target{Key: aws.String(fmt.Sprintf("tag:K%d", i)), Values: []string{"v"}}
	}
	return list
}

// rule is one limit of SendCommand: what is accepted just inside of it, and what is refused just outside.
type rule struct {
	good, bad func(*ssm.SendCommandInput)
	code      string
	message   string
}

func sendCommandRules() map[string]rule {
	const invalid = "ValidationException"
	type input = *ssm.SendCommandInput
	return map[string]rule{
		"comment": {
			func(in input) { in.Comment = aws.String(times("é", 100)) },
			func(in input) { in.Comment = aws.String(times("c", 101)) },
			invalid, "at 'comment' failed to satisfy constraint: Member must have length less than or equal to 100",
		},
		"shortest delivery": {
			func(in input) { in.TimeoutSeconds = aws.Int32(30) },
			func(in input) { in.TimeoutSeconds = aws.Int32(29) },
			invalid,
			"Value '29' at 'timeoutSeconds' failed to satisfy constraint: Member must have value greater than or equal to 30",
		},
		"longest delivery": {
			func(in input) { in.TimeoutSeconds = aws.Int32(2592000) },
			func(in input) { in.TimeoutSeconds = aws.Int32(2592001) },
			invalid, "less than or equal to 2592000",
		},
		"number of ids": {
			func(in input) { in.InstanceIds = ids(50) },
			func(in input) { in.InstanceIds = ids(51) },
			invalid, "at 'instanceIds'",
		},
		"form of an id": {
			func(in input) { in.InstanceIds = []string{nodeA} },
			func(in input) { in.InstanceIds = []string{"i-123"} },
			invalid, "Value 'i-123' at 'instanceIds'",
		},
		"repeated id": {
			func(in input) { in.InstanceIds = []string{nodeA, nodeB} },
			func(in input) { in.InstanceIds = []string{nodeA, nodeB, nodeA} },
			"DuplicateInstanceId", "", // AWS has no message for it
		},
		"unknown id": {
			func(in input) { in.InstanceIds = []string{nodeA} },
			func(in input) { in.InstanceIds = []string{"i-0123456789abcdef0", nodeA, "i-0123456789abcdef1"} },
			"InvalidInstanceId",
			"Instances [[i-0123456789abcdef0, i-0123456789abcdef1]] not in a valid state for account 123456789012",
		},
		"ids and targets": {
			func(in input) { in.InstanceIds, in.Targets = nil, tags(1) },
			func(in input) { in.Targets = tags(1) },
			invalid, "Exactly one",
		},
		"neither ids nor targets": {
			func(in input) { in.InstanceIds, in.Targets = nil, tags(1) },
			func(in input) { in.InstanceIds = nil },
			invalid, "Exactly one",
		},
		"number of targets": {
			func(in input) { in.InstanceIds, in.Targets = nil, tags(5) },
			func(in input) { in.InstanceIds, in.Targets = nil, tags(6) },
			invalid, "at 'targets'",
		},
		"number of values": {
			func(in input) { in.InstanceIds, in.Targets = nil, tags(1); in.Targets[0].Values = ids(50) },
			func(in input) { in.InstanceIds, in.Targets = nil, tags(1); in.Targets[0].Values = ids(51) },
			invalid, "at 'targets.values'",
		},
		"length of a key": {
			func(in input) {
				in.InstanceIds, in.Targets = nil, tags(1)
				in.Targets[0].Key = aws.String("tag:" + times("k", 159))
			},
			func(in input) {
				in.InstanceIds, in.Targets = nil, tags(1)
				in.Targets[0].Key = aws.String("tag:" + times("k", 160))
			},
			invalid, "at 'targets.key'",
		},
		"kind of a key": {
			func(in input) {
				in.InstanceIds, in.Targets = nil, tags(1)
				in.Targets[0].Key = aws.String("resource-groups:Name")
			},
			func(in input) { in.InstanceIds, in.Targets = nil, tags(1); in.Targets[0].Key = aws.String("Name") },
			invalid, "Target key Name",
		},
		"concurrency in percent": {
			func(in input) { in.MaxConcurrency = aws.String("100%") },
			func(in input) { in.MaxConcurrency = aws.String("0%") },
			invalid, "at 'maxConcurrency'",
		},
		"concurrency": {
			func(in input) { in.MaxConcurrency = aws.String("1234567") },
			func(in input) { in.MaxConcurrency = aws.String("12345678") },
			invalid, "at 'maxConcurrency'",
		},
		"no concurrency": {
			func(in input) { in.MaxConcurrency = aws.String("1") },
			func(in input) { in.MaxConcurrency = aws.String("0") },
			invalid, "at 'maxConcurrency'",
		},
		"errors": {
			func(in input) { in.MaxErrors = aws.String("0%") },
			func(in input) { in.MaxErrors = aws.String("-1") },
			invalid, "at 'maxErrors'",
		},
		"bucket": {
			func(in input) { in.OutputS3BucketName = aws.String("abc") },
			func(in input) { in.OutputS3BucketName = aws.String("ab") },
			invalid, "at 'outputS3BucketName'",
		},
		"prefix": {
			func(in input) { in.OutputS3KeyPrefix = aws.String(times("p", 500)) },
			func(in input) { in.OutputS3KeyPrefix = aws.String(times("p", 501)) },
			invalid, "at 'outputS3KeyPrefix'",
		},
		"log group": {
			func(in input) {
				in.CloudWatchOutputConfig = &types.CloudWatchOutputConfig{CloudWatchLogGroupName: aws.String(times("l", 512))}
			},
			func(in input) {
				in.CloudWatchOutputConfig = &types.CloudWatchOutputConfig{CloudWatchLogGroupName: aws.String(times("l", 513))}
			},
			invalid, "cloudWatchLogGroupName",
		},
		"document": {
			func(in input) { in.DocumentName = aws.String("arn:aws:ssm:eu-central-1::document/AWS-RunShellScript") },
			func(in input) { in.DocumentName = aws.String("AWS-Other") },
			"InvalidDocument", "AWS-Other",
		},
		"form of the document": {
			func(in input) { in.DocumentName = aws.String("AWS-RunShellScript") },
			func(in input) { in.DocumentName = aws.String("AWS RunShellScript") },
			invalid, "at 'documentName'",
		},
		"version": {
			func(in input) { in.DocumentVersion = aws.String("$LATEST") },
			func(in input) { in.DocumentVersion = aws.String("7") },
			"InvalidDocumentVersion", "7",
		},
		"form of the version": {
			func(in input) { in.DocumentVersion = aws.String("1") },
			func(in input) { in.DocumentVersion = aws.String("one") },
			invalid, "at 'documentVersion'",
		},
		"no commands": {
			func(in input) { in.Parameters["commands"] = []string{""} },
			func(in input) { delete(in.Parameters, "commands") },
			"InvalidParameters", "commands",
		},
		"unknown parameter": {
			func(in input) { in.Parameters["workingDirectory"] = []string{"/tmp"} },
			func(in input) { in.Parameters["directory"] = []string{"/tmp"} },
			"InvalidParameters", "directory",
		},
		"reference to a parameter": {
			func(in input) { in.Parameters["commands"] = []string{"echo '{{ name }}'"} },
			func(in input) { in.Parameters["commands"] = []string{"echo {{ssm:name}}"} },
			"InvalidParameters", "{{ssm:name}}",
		},
		"longest execution": {
			func(in input) { in.Parameters["executionTimeout"] = []string{"172800"} },
			func(in input) { in.Parameters["executionTimeout"] = []string{"172801"} },
			"InvalidParameters", "executionTimeout",
		},
		"shortest execution": {
			func(in input) { in.Parameters["executionTimeout"] = []string{"1"} },
			func(in input) { in.Parameters["executionTimeout"] = []string{"0"} },
			"InvalidParameters", "executionTimeout",
		},
		"two execution times": {
			func(in input) { in.Parameters["executionTimeout"] = []string{"5"} },
			func(in input) { in.Parameters["executionTimeout"] = []string{"5", "6"} },
			"InvalidParameters", "one value",
		},
		"size": {
			func(in input) { in.Parameters["commands"] = []string{times("x", 60<<10)} },
			func(in input) { in.Parameters["commands"] = []string{times("x", 32<<10), times("x", 32<<10)} },
			"MaxDocumentSizeExceeded", "64 KB",
		},
		"platform": {
			func(in input) { in.InstanceIds = []string{nodeA} },
			func(in input) { in.InstanceIds = []string{nodeA, nodeC} },
			"UnsupportedPlatformType", nodeC,
		},
	}
}

func TestSendCommandRules(t *testing.T) {
	w := newWorld(t)
	w.addMany(50, ssmlocal.Scripted(ssmlocal.Healthy))
	w.add(nodeC, ssmlocal.Scripted(ssmlocal.Healthy), func(i *ssmlocal.Instance) { i.PlatformType = "Windows" })
	for name, tt := range sendCommandRules() {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			good, bad := shell("true", nodeA), shell("true", nodeA)
			tt.good(good)
			tt.bad(bad)
			_, err := w.client.SendCommand(t.Context(), good)
			g.Expect(err).NotTo(HaveOccurred())
			before := len(w.server.Ledger())
			_, err = w.client.SendCommand(t.Context(), bad)
			g.Expect(err).To(haveCode(tt.code, tt.message))
			g.Expect(w.server.Ledger()).To(HaveLen(before))
		})
	}
}

func TestSeveralViolationsAreToldTogether(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	in := shell("true", nodeA)
	in.Comment, in.MaxErrors = aws.String(times("c", 101)), aws.String("many")
	_, err := w.client.SendCommand(t.Context(), in)
	w.Expect(err).To(haveCode("ValidationException", "2 validation errors detected"))
}

func TestAnswerOfSendCommand(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	w.add(nodeB, exits(0))

	in := shell("true", nodeA, nodeB)
	in.Comment, in.TimeoutSeconds = aws.String("uid/Run"), aws.Int32(600)
	out, err := w.client.SendCommand(t.Context(), in)
	w.Expect(err).NotTo(HaveOccurred())
	c := out.Command
	w.Expect(c.Status).To(Equal(types.CommandStatusPending))
	w.Expect(*c.StatusDetails).To(Equal("Pending"))
	w.Expect(*c.Comment).To(Equal("uid/Run"))
	w.Expect(c.TargetCount).To(BeEquivalentTo(2))
	w.Expect(c.CompletedCount).To(BeZero())
	w.Expect(*c.RequestedDateTime).To(BeTemporally("==", w.clock.Now()))
	// TimeoutSeconds and the executionTimeout of 60 s.
	w.Expect(c.ExpiresAfter.Sub(*c.RequestedDateTime).Seconds()).To(BeEquivalentTo(660))
	w.Expect(*c.MaxConcurrency + " " + *c.MaxErrors).To(Equal("50 0"))
	w.Expect(c.Parameters).To(Equal(in.Parameters))

	out, err = w.client.SendCommand(t.Context(), shell("true"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(out.Command.TargetCount).To(BeZero(), "targets are looked for after the answer")
	w.Expect(w.state(*out.Command.CommandId)).To(Equal("Success/Success 2 2 0 0"))
}

func TestShortExecutionTimeoutIsTheDefault(t *testing.T) {
	for seconds, want := range map[string]float64{"4": 3600, "5": 5} {
		t.Run(seconds, func(t *testing.T) {
			w := newWorld(t)
			var timeout float64
			w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
				timeout = e.Timeout.Seconds()
				return ssmlocal.Outcome{}
			}))
			in := shell("true", nodeA)
			in.Parameters["executionTimeout"] = []string{seconds}
			id := w.send(in)
			w.Expect(w.state(id)).To(HavePrefix("Success"))
			w.Expect(timeout).To(Equal(want))
		})
	}
}
