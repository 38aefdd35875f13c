// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// connection is how a node is reached from the start.
func connection(c ssmlocal.Connection) func(*ssmlocal.Instance) {
	return func(i *ssmlocal.Instance) { i.Connection = c }
}

func TestInvocationOfOneInstance(t *testing.T) {
	tests := map[string]struct {
		outcome    ssmlocal.Outcome
		connection ssmlocal.Connection
		after      time.Duration
		invocation string
		command    string
		stderr     string
	}{
		"running": {
			ssmlocal.Outcome{Delay: 10 * time.Second}, 0, 9 * time.Second,
			"InProgress/InProgress -1", "InProgress/InProgress 1 0 0 0", "",
		},
		"success": {
			ssmlocal.Outcome{Delay: 10 * time.Second}, 0, 10 * time.Second, "Success/Success 0", "Success/Success 1 1 0 0", "",
		},
		"failure": {
			ssmlocal.Outcome{ExitCode: 3, Stderr: "oh"}, 0, 0,
			"Failed/Failed 3", "Failed/Failed 1 1 1 0", "ohfailed to run commands: exit status 3",
		},
		"exit 137": {
			ssmlocal.Outcome{ExitCode: 137, Stderr: "oh"}, 0, 0,
			"TimedOut/ExecutionTimedOut 137", "TimedOut/ExecutionTimedOut 1 1 1 0", "oh",
		},
		"exit 168": {
			ssmlocal.Outcome{ExitCode: 168, Stderr: "oh"}, 0, 0, "Success/Success 168", "Success/Success 1 1 0 0", "",
		},
		"exit 169": {
			ssmlocal.Outcome{ExitCode: 169}, 0, 0,
			"Failed/Failed 169", "Failed/Failed 1 1 1 0", "failed to run commands: exit status 169",
		},
		"too slow": {
			ssmlocal.Outcome{Delay: time.Hour}, 0, 60 * time.Second,
			"TimedOut/ExecutionTimedOut 137", "TimedOut/ExecutionTimedOut 1 1 1 0", "",
		},
		"dead agent": {
			ssmlocal.Outcome{NoAnswer: true}, 0, 659 * time.Second,
			"InProgress/InProgress -1", "InProgress/InProgress 1 0 0 0", "",
		},
		"dead for good": {
			ssmlocal.Outcome{NoAnswer: true}, 0, 660 * time.Second,
			"TimedOut/ExecutionTimedOut -1", "TimedOut/ExecutionTimedOut 1 1 1 0", "",
		},
		"silent": {
			ssmlocal.Outcome{}, ssmlocal.ConnectionLost, 599 * time.Second, "Pending/Pending -1", "Pending/Pending 1 0 0 0", "",
		},
		"silent too long": {
			ssmlocal.Outcome{}, ssmlocal.ConnectionLost, 600 * time.Second,
			"TimedOut/DeliveryTimedOut -1", "TimedOut/DeliveryTimedOut 1 1 0 1", "",
		},
		"undeliverable": {
			ssmlocal.Outcome{}, ssmlocal.Undeliverable, 0, "Failed/Undeliverable -1", "Failed/Undeliverable 1 1 0 0", "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add(nodeA, outcome(tt.outcome), connection(tt.connection))
			in := shell("true", nodeA)
			in.TimeoutSeconds = aws.Int32(600)
			id := w.send(in)
			w.clock.Step(tt.after)
			w.Expect(w.invocation(id, nodeA)).To(Equal(tt.invocation))
			w.Expect(w.state(id)).To(Equal(tt.command))
			w.Expect(*w.get(id, nodeA).StandardErrorContent).To(Equal(tt.stderr))
		})
	}
}

func TestWhatTheCountsHide(t *testing.T) {
	type fleet = map[string]struct {
		runner     ssmlocal.Scripted
		connection ssmlocal.Connection
	}
	tests := map[string]struct {
		fleet     fleet
		maxErrors string
		want      string
	}{
		"undeliverable beside success": {fleet{
			nodeA: {exits(0), ssmlocal.Online}, nodeB: {exits(0), ssmlocal.Undeliverable},
		}, "100%", "Success/Success 2 2 0 0"},
		"silent beside success": {fleet{
			nodeA: {exits(0), ssmlocal.Online}, nodeB: {exits(0), ssmlocal.ConnectionLost},
		}, "100%", "Failed/Incomplete 2 2 0 1"},
		"failure within MaxErrors": {fleet{
			nodeA: {exits(0), ssmlocal.Online}, nodeB: {exits(1), ssmlocal.Online},
		}, "100%", "Failed/Incomplete 2 2 1 0"},
		"failure beyond MaxErrors": {fleet{
			nodeA: {exits(0), ssmlocal.Online}, nodeB: {exits(1), ssmlocal.Online},
		}, "0", "Failed/Failed 2 2 1 0"},
		"nobody": {fleet{}, "100%", "Success/NoInstancesInTag 0 0 0 0"},
		"absent": {fleet{nodeA: {exits(0), ssmlocal.Absent}}, "100%", "Success/NoInstancesInTag 0 0 0 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for id, n := range tt.fleet {
				w.add(id, n.runner, connection(n.connection))
			}
			in := shell("true")
			in.MaxErrors, in.TimeoutSeconds = &tt.maxErrors, aws.Int32(30)
			id := w.send(in)
			w.clock.Step(30 * time.Second)
			w.Expect(w.state(id)).To(Equal(tt.want))
		})
	}
}

func TestOtherPlatformIsSkippedByTag(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	w.add(nodeB, exits(0), func(i *ssmlocal.Instance) { i.PlatformType = "Windows" })
	id := w.send(shell("true"))
	w.Expect(w.invocation(id, nodeB)).To(Equal("Failed/InvalidPlatform -1"))
	w.Expect(w.command(id).ErrorCount).To(BeZero())
	w.Expect(w.server.Ledger()).To(HaveLen(1))
}

func TestConnectionChanges(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0), connection(ssmlocal.ConnectionLost))
	in := shell("true", nodeA)
	in.TimeoutSeconds = aws.Int32(60)
	late, intime := w.send(in), ""
	w.clock.Step(40 * time.Second)
	intime = w.send(in)
	w.clock.Step(30 * time.Second)
	w.server.SetConnection(nodeA, ssmlocal.Online)

	w.Expect(w.invocation(late, nodeA)).To(Equal("TimedOut/DeliveryTimedOut -1"))
	w.Expect(w.invocation(intime, nodeA)).To(Equal("Success/Success 0"))
	w.Expect(w.server.Ledger()).To(HaveLen(1))

	w.server.SetConnection(nodeA, ssmlocal.Absent)
	_, err := w.client.SendCommand(t.Context(), in)
	w.Expect(err).To(haveCode("InvalidInstanceId", "[["+nodeA+"]] not in a valid state"))
	w.server.RemoveInstance(nodeA)
	w.add(nodeA, exits(0))
	w.send(in)
	w.Expect(w.server.Ledger()).To(HaveLen(2))
}

func TestReadsLag(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.ReadLag = aws.Duration(3 * time.Second) })
	w.add(nodeA, exits(0))
	id := w.send(shell("true", nodeA))
	w.Expect(w.server.Ledger()).To(HaveLen(1), "the command runs although nobody sees it")

	read := func() (int, int, error) {
		list, err := w.client.ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: &id})
		w.Expect(err).NotTo(HaveOccurred())
		each, err := w.client.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{InstanceId: aws.String(nodeA)})
		w.Expect(err).NotTo(HaveOccurred())
		_, err = w.client.GetCommandInvocation(t.Context(),
			&ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String(nodeA)})
		return len(list.Commands), len(each.CommandInvocations), err
	}
	commands, invocations, err := read()
	w.Expect([]int{commands, invocations}).To(Equal([]int{0, 0}))
	w.Expect(err).To(haveCode("InvocationDoesNotExist", ""))
	w.clock.Step(3 * time.Second)
	commands, invocations, err = read()
	w.Expect([]int{commands, invocations}).To(Equal([]int{1, 1}))
	w.Expect(err).NotTo(HaveOccurred())
}

func TestGetCommandInvocation(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, outcome(ssmlocal.Outcome{Delay: 91 * time.Millisecond, Stdout: "out\n\x00\xff", Stderr: "err"}))
	id := w.send(shell("true", nodeA))

	before := w.get(id, nodeA)
	w.Expect(*before.ExecutionStartDateTime).To(Equal("2026-03-04T05:06:07.000Z"))
	w.Expect(*before.ExecutionEndDateTime).To(BeEmpty())
	w.Expect(*before.StandardOutputContent).To(BeEmpty())
	w.Expect(*before.StandardOutputUrl).To(BeEmpty())

	w.clock.Step(time.Second)
	after := w.get(id, nodeA)
	w.Expect(*after.ExecutionEndDateTime).To(Equal("2026-03-04T05:06:07.091Z"))
	w.Expect(*after.ExecutionElapsedTime).To(Equal("PT0.091S"))
	w.Expect(*after.StandardOutputContent).To(Equal("out\n\x00\uFFFD"))
	w.Expect(*after.StandardErrorContent).To(Equal("err"))
	w.Expect(*after.PluginName).To(Equal("aws:runShellScript"))

	for name, tt := range map[string]struct {
		in   ssm.GetCommandInvocationInput
		code string
	}{
		"other instance": {
			ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String(nodeB)}, "InvocationDoesNotExist",
		},
		"other command": {
			ssm.GetCommandInvocationInput{CommandId: aws.String(times("0", 36)), InstanceId: aws.String(nodeA)},
			"InvocationDoesNotExist",
		},
		"other plugin": {
			ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String(nodeA), PluginName: aws.String("aws:x")},
			"InvalidPluginName",
		},
		"no id": {
			ssm.GetCommandInvocationInput{CommandId: aws.String("1"), InstanceId: aws.String(nodeA)}, "ValidationException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.client.GetCommandInvocation(t.Context(), &tt.in)
			NewWithT(t).Expect(err).To(haveCode(tt.code, ""))
		})
	}
}

func TestRebootRunsTheScriptAgain(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		if e.Kind == ssmlocal.Run {
			return ssmlocal.Outcome{ExitCode: 194}
		}
		return ssmlocal.Outcome{ExitCode: 5}
	}))
	w.add(nodeB, exits(194))
	id := w.send(shell("true", nodeA))
	w.Expect(w.invocation(id, nodeA)).To(Equal("Failed/Failed 5"))
	w.Expect(w.server.Reboots(nodeA)).To(Equal(1))
	w.Expect(kinds(w.server.Ledger())).To(Equal([]ssmlocal.Kind{ssmlocal.Run, ssmlocal.Rerun}))

	id = w.send(shell("true", nodeB))
	w.Expect(w.invocation(id, nodeB)).To(Equal("Failed/Failed 194"), "the agent gives up at some time")
}

func kinds(entries []ssmlocal.Entry) []ssmlocal.Kind {
	var list []ssmlocal.Kind
	for _, e := range entries {
		list = append(list, e.Kind)
	}
	return list
}

func TestAgentQueue(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, takes(10*time.Second))
	var sent []string
	for range 7 {
		sent = append(sent, w.send(shell("true", nodeA)))
	}
	w.Expect(w.server.Ledger()).To(HaveLen(5))
	w.Expect(w.invocation(sent[6], nodeA)).To(Equal("InProgress/InProgress -1"), "what waits at the agent is acknowledged")

	_, err := w.client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &sent[6]})
	w.Expect(err).NotTo(HaveOccurred())
	w.clock.Step(10 * time.Second)
	w.Expect(w.server.Ledger()).To(HaveLen(6))
	w.clock.Step(10 * time.Second)
	w.Expect(w.invocation(sent[5], nodeA)).To(Equal("Success/Success 0"))
	w.Expect(w.invocation(sent[6], nodeA)).To(Equal("Cancelling/Cancelling -1"), "the agent gives no answer")
	w.Expect(w.server.Ledger()).To(HaveLen(6))

	w.Expect(w.server.Replay(nodeA, sent[6])).To(Succeed())
	w.clock.Step(time.Hour + time.Minute)
	w.Expect(w.invocation(sent[6], nodeA)).To(Equal("Cancelled/Cancelled -1"))
	last := w.server.Ledger()[6]
	w.Expect(last.Kind).To(Equal(ssmlocal.Replay))
	w.Expect(last.CommandID).To(Equal(sent[6]))
	w.Expect(last.End.Sub(last.Start)).To(Equal(10 * time.Second))
}

func TestCancelCommand(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, takes(30*time.Second))
	w.add(nodeB, exits(0), connection(ssmlocal.ConnectionLost))
	w.add(nodeC, exits(0))
	in := shell("true", nodeA, nodeB, nodeC)
	in.MaxErrors = aws.String("100%")
	id := w.send(in)
	cancel := func(id string, ids ...string) error {
		_, err := w.client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &id, InstanceIds: ids})
		return err
	}
	w.Expect(cancel(id, nodeB)).To(Succeed())
	w.Expect(w.invocation(id, nodeB)).To(Equal("Cancelled/Cancelled 1"))
	w.Expect(w.invocation(id, nodeA)).To(Equal("InProgress/InProgress -1"))
	w.Expect(cancel(id)).To(Succeed())
	w.Expect(w.invocation(id, nodeA)).To(Equal("Cancelled/Cancelled 137"))
	w.Expect(w.invocation(id, nodeC)).To(Equal("Success/Success 0"), "what has ended stays as it is")
	w.Expect(w.state(id)).To(Equal("Cancelled/Cancelled 3 3 0 0"))

	w.clock.Step(time.Hour)
	w.server.SetConnection(nodeB, ssmlocal.Online)
	w.Expect(w.server.Ledger()).To(HaveLen(2), "nothing cancelled runs later")
	w.Expect(cancel(times("0", 36))).To(haveCode("InvalidCommandId", ""))
	w.Expect(cancel(id, "i-0123456789abcdef0")).To(haveCode("InvalidInstanceId", ""))
}

func TestReplayIsNotReported(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		return ssmlocal.Outcome{Stdout: string(e.Kind)}
	}))
	id := w.send(shell("true", nodeA))
	w.clock.Step(2 * time.Hour)
	w.Expect(w.server.Replay(nodeA, id)).To(Succeed())
	w.Expect(*w.get(id, nodeA).StandardOutputContent).To(Equal("Run"))
	w.Expect(kinds(w.server.Ledger())).To(Equal([]ssmlocal.Kind{ssmlocal.Run, ssmlocal.Replay}))

	w.Expect(w.server.Replay(nodeA, "unknown")).To(MatchError(ContainSubstring("not known")))
	w.Expect(w.server.Replay(nodeB, id)).To(MatchError(ContainSubstring("not sent there")))
}

func TestHistoryEndsAfterThirtyDays(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	old := w.send(shell("true", nodeA))
	w.clock.Step(20 * 24 * time.Hour)
	kept := w.send(shell("true", nodeA))
	w.clock.Step(10*24*time.Hour + time.Second)
	out, err := w.client.ListCommands(t.Context(), &ssm.ListCommandsInput{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(out.Commands).To(HaveLen(1))
	w.Expect(*out.Commands[0].CommandId).To(Equal(kept))
	_, err = w.client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &old})
	w.Expect(err).To(haveCode("InvalidCommandId", ""))
	w.Expect(w.server.Ledger()).To(HaveLen(1))
}

func TestAddInstanceRefuses(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	for name, tt := range map[string]struct {
		i    ssmlocal.Instance
		want string
	}{
		"form":      {ssmlocal.Instance{ID: "web-1", Runner: exits(0)}, "must match"},
		"taken":     {ssmlocal.Instance{ID: nodeA, Runner: exits(0)}, "taken"},
		"no runner": {ssmlocal.Instance{ID: nodeB}, "runner"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(w.server.AddInstance(tt.i)).To(MatchError(ContainSubstring(tt.want)))
		})
	}
}
