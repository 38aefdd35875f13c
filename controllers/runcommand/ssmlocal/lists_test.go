// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func by(keyAndValues ...string) []types.CommandFilter {
	var filters []types.CommandFilter
	for pair := range slices.Chunk(keyAndValues, 2) {
		filters = append(filters, types.CommandFilter{Key: types.CommandFilterKey(pair[0]), Value: &pair[1]})
	}
	return filters
}

// history sends one command after the other, a minute apart, that end in different ways. It names them.
func history(w *world) map[string]string {
	w.t.Helper()
	names := map[string]string{}
	send := func(name string, in *ssm.SendCommandInput) {
		in.TimeoutSeconds, in.Comment = aws.Int32(30), &name
		names[w.send(in)] = name
		w.clock.Step(time.Minute)
	}
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		switch e.Script {
		case "fail":
			return ssmlocal.Outcome{ExitCode: 1}
		case "hang":
			return ssmlocal.Outcome{Delay: time.Hour}
		}
		return ssmlocal.Outcome{Stdout: e.Script}
	}))
	w.add(nodeB, exits(0), connection(ssmlocal.ConnectionLost))
	send("good", shell("good", nodeA))
	send("bad", shell("fail", nodeA))
	send("slow", shell("hang", nodeA))
	send("lost", shell("lost", nodeB))
	empty := shell("empty")
	empty.Targets[0].Values = []string{"db"}
	send("empty", empty)
	long := shell("hang", nodeA)
	long.Parameters["executionTimeout"] = []string{"3600"}
	send("running", long)
	late := shell("late", nodeB)
	late.TimeoutSeconds = aws.Int32(3600)
	late.Comment = aws.String("waiting")
	names[w.send(late)] = "waiting"
	return names
}

func TestListCommandsFilters(t *testing.T) {
	w := newWorld(t)
	start := w.clock.Now()
	names := history(w)
	tests := map[string]struct {
		in   ssm.ListCommandsInput
		want []string
	}{
		"all, the newest first": {
			ssm.ListCommandsInput{}, []string{"waiting", "running", "empty", "lost", "slow", "bad", "good"},
		},
		"success":       {ssm.ListCommandsInput{Filters: by("Status", "Success")}, []string{"empty", "good"}},
		"no instances":  {ssm.ListCommandsInput{Filters: by("Status", "NoInstancesInTag")}, []string{"empty"}},
		"timed out":     {ssm.ListCommandsInput{Filters: by("Status", "TimedOut")}, []string{"lost", "slow"}},
		"not delivered": {ssm.ListCommandsInput{Filters: by("Status", "DeliveryTimedOut")}, []string{"lost"}},
		"pending":       {ssm.ListCommandsInput{Filters: by("Status", "Pending")}, []string{"waiting"}},
		"in progress":   {ssm.ListCommandsInput{Filters: by("Status", "InProgress")}, []string{"running"}},
		"executing": {
			ssm.ListCommandsInput{Filters: by("ExecutionStage", "Executing")}, []string{"waiting", "running"},
		},
		"complete and failed": {
			ssm.ListCommandsInput{Filters: by("ExecutionStage", "Complete", "Status", "Failed")}, []string{"bad"},
		},
		"document": {ssm.ListCommandsInput{Filters: by("DocumentName", "AWS-Other")}, nil},
		"after, inclusive": {ssm.ListCommandsInput{
			Filters: by("InvokedAfter", start.Add(5*time.Minute).Format(time.RFC3339)),
		}, []string{"waiting", "running"}},
		"before, exclusive": {ssm.ListCommandsInput{
			Filters: by("InvokedBefore", start.Add(time.Minute).Format(time.RFC3339)),
		}, []string{"good"}},
		"instance": {
			ssm.ListCommandsInput{InstanceId: aws.String(nodeA)}, []string{"running", "slow", "bad", "good"},
		},
		"instance that was not reached": {ssm.ListCommandsInput{InstanceId: aws.String(nodeB)}, []string{"lost"}},
		"unknown id":                    {ssm.ListCommandsInput{CommandId: aws.String(times("0", 36))}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			out, err := w.client.ListCommands(t.Context(), &tt.in)
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, c := range out.Commands {
				got = append(got, names[*c.CommandId])
			}
			g.Expect(got).To(Equal(tt.want))
		})
	}
}

func TestListCommandInvocationsFilters(t *testing.T) {
	w := newWorld(t)
	names := history(w)
	tests := map[string]struct {
		in   ssm.ListCommandInvocationsInput
		want []string
	}{
		"all": {ssm.ListCommandInvocationsInput{}, []string{"waiting", "running", "lost", "slow", "bad", "good"}},
		"pending": {
			ssm.ListCommandInvocationsInput{Filters: by("Status", "Pending"), InstanceId: aws.String(nodeB)}, []string{"waiting"},
		},
		"not delivered": {ssm.ListCommandInvocationsInput{Filters: by("Status", "DeliveryTimedOut")}, []string{"lost"}},
		"timed out":     {ssm.ListCommandInvocationsInput{Filters: by("Status", "TimedOut")}, []string{"lost", "slow"}},
		"undeliverable": {ssm.ListCommandInvocationsInput{Filters: by("Status", "Undeliverable")}, nil},
		"instance":      {ssm.ListCommandInvocationsInput{InstanceId: aws.String(nodeB)}, []string{"waiting", "lost"}},
		"unknown id":    {ssm.ListCommandInvocationsInput{CommandId: aws.String(times("0", 36))}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			out, err := w.client.ListCommandInvocations(t.Context(), &tt.in)
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, i := range out.CommandInvocations {
				g.Expect(*i.Comment).To(Equal(names[*i.CommandId]))
				got = append(got, *i.Comment)
			}
			g.Expect(got).To(Equal(tt.want))
		})
	}
}

func TestListsRefuse(t *testing.T) {
	w := newWorld(t)
	commands := func(in ssm.ListCommandsInput) func() error {
		return func() error { _, err := w.client.ListCommands(t.Context(), &in); return err }
	}
	invocations := func(in ssm.ListCommandInvocationsInput) func() error {
		return func() error { _, err := w.client.ListCommandInvocations(t.Context(), &in); return err }
	}
	tests := map[string]struct {
		call          func() error
		code, message string
	}{
		"page too large": {commands(ssm.ListCommandsInput{MaxResults: aws.Int32(51)}), "ValidationException", "maxResults"},
		"page too small": {
			invocations(ssm.ListCommandInvocationsInput{MaxResults: aws.Int32(0)}), "ValidationException", "maxResults",
		},
		"id too short": {commands(ssm.ListCommandsInput{CommandId: aws.String("1")}), "ValidationException", "commandId"},
		"bad instance": {
			invocations(ssm.ListCommandInvocationsInput{InstanceId: aws.String("web")}), "ValidationException", "instanceId",
		},
		"unknown key": {
			commands(ssm.ListCommandsInput{Filters: by("Comment", "x")}), "ValidationException", "filters.key",
		},
		"stage of invocations": {
			invocations(ssm.ListCommandInvocationsInput{Filters: by("ExecutionStage", "Executing")}),
			"ValidationException", "filters.key",
		},
		"status of commands": {
			commands(ssm.ListCommandsInput{Filters: by("Status", "Undeliverable")}), "ValidationException", "filters.value",
		},
		"status of invocations": {
			invocations(ssm.ListCommandInvocationsInput{Filters: by("Status", "NoInstancesInTag")}),
			"ValidationException", "filters.value",
		},
		"time": {
			commands(ssm.ListCommandsInput{Filters: by("InvokedAfter", "yesterday")}), "ValidationException", "filters.value",
		},
		"token": {commands(ssm.ListCommandsInput{NextToken: aws.String("x")}), "InvalidNextToken", ""},
		"pending on an instance": {
			commands(ssm.ListCommandsInput{InstanceId: aws.String(nodeA), Filters: by("Status", "Pending")}),
			"ValidationException", "Pending",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(tt.call()).To(haveCode(tt.code, tt.message))
		})
	}
}

func TestPaging(t *testing.T) {
	w := newWorld(t)
	w.addMany(7, ssmlocal.Scripted(ssmlocal.Healthy))
	var sent []string
	for range 5 {
		sent = append(sent, w.send(shell("true")))
	}
	slices.Reverse(sent)

	t.Run("commands", func(t *testing.T) {
		g := NewWithT(t)
		pages := ssm.NewListCommandsPaginator(w.client, &ssm.ListCommandsInput{MaxResults: aws.Int32(2)})
		var sizes []int
		var got []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			sizes = append(sizes, len(page.Commands))
			for _, c := range page.Commands {
				got = append(got, *c.CommandId)
			}
			if len(sizes) == 1 {
				// A command that comes in between does not move the pages.
				w.send(shell("true"))
			}
		}
		g.Expect(sizes).To(Equal([]int{2, 2, 1}))
		g.Expect(got).To(Equal(sent))
	})
	t.Run("invocations", func(t *testing.T) {
		g := NewWithT(t)
		pages := ssm.NewListCommandInvocationsPaginator(w.client,
			&ssm.ListCommandInvocationsInput{MaxResults: aws.Int32(4), Filters: by("Status", "Success")})
		seen := map[string]int{}
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			for _, i := range page.CommandInvocations {
				seen[*i.CommandId+" "+*i.InstanceId]++
			}
		}
		g.Expect(seen).To(HaveLen(6 * 7))
		g.Expect(seen).To(HaveEach(1))
	})
	t.Run("one command of many instances", func(t *testing.T) {
		g := NewWithT(t)
		in := &ssm.ListCommandInvocationsInput{CommandId: &sent[0], MaxResults: aws.Int32(7)}
		page, err := w.client.ListCommandInvocations(t.Context(), in)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(page.CommandInvocations).To(HaveLen(7))
		g.Expect(*page.NextToken).To(BeEmpty())
	})
}

func TestDetailsOfInvocations(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, outcome(ssmlocal.Outcome{Stdout: "verdict\n", ExitCode: 4, Delay: time.Second}))
	id := w.send(shell("true", nodeA))
	list := func(details bool) types.CommandInvocation {
		out, err := w.client.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &id, Details: details})
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(out.CommandInvocations).To(HaveLen(1))
		return out.CommandInvocations[0]
	}
	w.Expect(list(false).CommandPlugins).To(BeEmpty())
	w.Expect(list(true).CommandPlugins[0].ResponseFinishDateTime).To(BeNil())
	w.clock.Step(time.Second)
	plugin := list(true).CommandPlugins[0]
	w.Expect(plugin.ResponseCode).To(BeEquivalentTo(4))
	w.Expect(plugin.Status).To(Equal(types.CommandPluginStatusFailed))
	w.Expect(*plugin.Output).To(Equal("verdict\n\n----------ERROR-------\nfailed to run commands: exit status 4"))
	w.Expect(plugin.ResponseFinishDateTime.Sub(*plugin.ResponseStartDateTime)).To(Equal(time.Second))
}

func TestLargeFleetIsCheapToRead(t *testing.T) {
	w := newWorld(t)
	w.addMany(10000, takes(time.Second))
	in := shell("true")
	in.MaxConcurrency, in.MaxErrors = aws.String("100%"), aws.String("100%")
	id := w.send(in)
	w.clock.Step(time.Second)
	w.Expect(w.state(id)).To(Equal("Success/Success 10000 10000 0 0"))
	small := w.send(shell("true", nodeA))
	_, err := w.client.ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: &small})
	w.Expect(err).NotTo(HaveOccurred())

	read := func(id string) func() {
		return func() { w.command(id) }
	}
	few, many := testing.AllocsPerRun(20, read(small)), testing.AllocsPerRun(20, read(id))
	w.Expect(many).To(BeNumerically("<", few+100), "allocations must not grow with the fleet")
}
