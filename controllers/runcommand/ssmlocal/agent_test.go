// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func (w *world) cancel(commandID string) {
	w.t.Helper()
	_, err := w.client.CancelCommand(w.t.Context(), &ssm.CancelCommandInput{CommandId: &commandID})
	w.Expect(err).NotTo(HaveOccurred())
}

// executions are `Kind Duration` of the ledger; what has not ended has no duration.
func (w *world) executions() []string {
	var list []string
	for _, e := range w.server.Ledger() {
		text := string(e.Kind)
		if !e.End.IsZero() {
			text += " " + e.End.Sub(e.Start).String()
		}
		list = append(list, text)
	}
	return list
}

func TestAgentStopsInTheMiddle(t *testing.T) {
	const delivery, run = 30 * time.Second, 10 * time.Second
	tests := map[string]struct {
		scripts ssmlocal.AgentStop
		// down is how long the agent is gone, from 4 seconds after the send on.
		down time.Duration
		// before is the state just before it starts again, after the one a long time later.
		before, after string
		executions    []string
	}{
		"the script goes on and ends before": {
			ssmlocal.ScriptsGoOn, 20 * time.Second,
			"InProgress/InProgress 1 0 0 0", "Success/Success 1 1 0 0", []string{"Run 10s"},
		},
		"the script goes on and ends after": {
			ssmlocal.ScriptsGoOn, 2 * time.Second,
			"InProgress/InProgress 1 0 0 0", "Success/Success 1 1 0 0", []string{"Run 10s"},
		},
		"the script dies and runs again": {
			ssmlocal.ScriptsDie, 20 * time.Second,
			"InProgress/InProgress 1 0 0 0", "Success/Success 1 1 0 0", []string{"Run 4s", "Resume 10s"},
		},
		"the answer comes too late": {
			ssmlocal.ScriptsGoOn, 10 * time.Hour,
			"TimedOut/ExecutionTimedOut 1 1 1 0", "TimedOut/ExecutionTimedOut 1 1 1 0", []string{"Run 10s"},
		},
		"the script runs again after hours": {
			ssmlocal.ScriptsDie, 10 * time.Hour,
			"TimedOut/ExecutionTimedOut 1 1 1 0", "TimedOut/ExecutionTimedOut 1 1 1 0", []string{"Run 4s", "Resume 10s"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add(nodeA, takes(run))
			in := shell("true", nodeA)
			in.TimeoutSeconds = aws.Int32(int32(delivery.Seconds()))
			id := w.send(in)
			w.clock.Step(4 * time.Second)
			w.server.StopAgent(nodeA, tt.scripts)
			w.clock.Step(tt.down)
			w.Expect(w.state(id)).To(Equal(tt.before))
			w.server.StartAgent(nodeA)
			w.clock.Step(2 * run)
			w.Expect(w.state(id)).To(Equal(tt.after))
			w.Expect(w.executions()).To(Equal(tt.executions))
			w.server.StartAgent(nodeA)
			w.Expect(w.executions()).To(HaveLen(len(tt.executions)), "what has ended is not persisted any more")
		})
	}
}

func TestStoppedAgentIsNotOnline(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	seen := w.clock.Now()
	w.server.StopAgent(nodeA, ssmlocal.ScriptsGoOn)
	w.clock.Step(time.Minute)
	in := shell("true", nodeA)
	in.TimeoutSeconds = aws.Int32(30)
	late := w.send(in)
	out, err := w.client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(out.InstanceInformationList[0].PingStatus).To(BeEquivalentTo("ConnectionLost"))
	w.Expect(*out.InstanceInformationList[0].LastPingDateTime).To(BeTemporally("==", seen))

	w.clock.Step(20 * time.Second)
	intime := w.send(in)
	w.clock.Step(20 * time.Second)
	w.server.StartAgent(nodeA)
	w.Expect(w.invocation(late, nodeA)).To(Equal("TimedOut/DeliveryTimedOut -1"))
	w.Expect(w.invocation(intime, nodeA)).To(Equal("Success/Success 0"))
	w.Expect(w.executions()).To(Equal([]string{"Run 0s"}))
}

func TestAgentRunsWhatItHasPersistedAsPending(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.Workers = 1 })
	w.add(nodeA, takes(10*time.Second))
	in := shell("true", nodeA)
	in.TimeoutSeconds = aws.Int32(30)
	running, dropped, waiting := w.send(in), w.send(in), w.send(in)
	w.cancel(dropped)
	w.server.StopAgent(nodeA, ssmlocal.ScriptsDie)
	w.Expect(w.server.Replay(nodeA, running)).To(Succeed())
	w.cancel(waiting)
	w.clock.Step(10 * time.Hour)
	w.Expect(w.executions()).To(Equal([]string{"Run 0s"}))

	w.server.StartAgent(nodeA)
	w.clock.Step(time.Minute)
	var commands []string
	for _, e := range w.server.Ledger()[1:] {
		commands = append(commands, string(e.Kind)+" "+e.CommandID)
	}
	w.Expect(commands).To(Equal([]string{
		"Replay " + waiting, "Replay " + running, "Replay " + dropped, "Resume " + running,
	}))
	w.Expect(w.invocation(dropped, nodeA)).To(Equal("Cancelled/Cancelled -1"), "although it ran")
	w.Expect(w.invocation(waiting, nodeA)).To(Equal("Cancelled/Cancelled -1"))
}

// TestCancelledWhileQueuedRunsAfterTheRestart: the agent forgets on a restart that what waited for a worker was cancelled.
func TestCancelledWhileQueuedRunsAfterTheRestart(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.Workers = 1 })
	w.add(nodeA, takes(10*time.Second))
	w.send(shell("true", nodeA))
	dropped := w.send(shell("true", nodeA))
	w.cancel(dropped)
	w.clock.Step(20 * time.Second)
	w.Expect(w.executions()).To(Equal([]string{"Run 10s"}))
	w.server.StopAgent(nodeA, ssmlocal.ScriptsGoOn)
	w.server.StartAgent(nodeA)
	w.clock.Step(10 * time.Second)
	w.Expect(w.executions()).To(Equal([]string{"Run 10s", "Replay 10s"}))
	w.Expect(w.invocation(dropped, nodeA)).To(Equal("Cancelling/Cancelling -1"), "the agent gives no answer")
}

func TestResumedDocumentBeginsWithItsStep(t *testing.T) {
	w := newWorld(t)
	var ran []string
	killed := 0
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		ran = append(ran, e.Step+" "+string(e.Kind))
		return ssmlocal.Outcome{Delay: 5 * time.Second, Killed: func(time.Time) { killed++ }}
	}))
	w.Expect(w.server.AddDocument(restart())).To(Succeed())
	id := w.send(of("2", nil))
	w.clock.Step(7 * time.Second)
	w.server.StopAgent(nodeA, ssmlocal.ScriptsDie)
	w.Expect(killed).To(Equal(1))
	w.server.StartAgent(nodeA)
	w.clock.Step(5 * time.Second)
	w.Expect(w.state(id)).To(Equal("Success/Success 1 1 0 0"))
	w.Expect(ran).To(Equal([]string{"stop Run", "start Run", "start Resume"}))
	w.Expect(killed).To(Equal(1))
}

func TestAgentGivesUpOnWhatKeepsDying(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, takes(10*time.Second))
	w.send(shell("true", nodeA))
	for range 20 {
		w.server.StopAgent(nodeA, ssmlocal.ScriptsDie)
		w.server.StartAgent(nodeA)
	}
	w.Expect(w.server.Ledger()).To(HaveLen(15))
}

func TestScriptedReboot(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		switch {
		case e.Script == "reboot" && e.Kind == ssmlocal.Run:
			return ssmlocal.Outcome{Stdout: "ordered", Reboot: &ssmlocal.Reboot{After: 3 * time.Second, Down: time.Minute}}
		case e.Script == "hang" && e.Kind == ssmlocal.Run:
			return ssmlocal.Outcome{Delay: 20 * time.Second}
		}
		return ssmlocal.Outcome{Stdout: string(e.Kind)}
	}))
	ordered, hanging := w.send(shell("reboot", nodeA)), w.send(shell("hang", nodeA))
	w.clock.Step(5 * time.Second)
	w.Expect(*w.get(ordered, nodeA).StandardOutputContent).To(Equal("ordered"))
	during := w.send(shell("true", nodeA))
	w.clock.Step(57 * time.Second)
	w.Expect(w.invocation(during, nodeA)).To(Equal("Pending/Pending -1"))
	w.Expect(w.invocation(hanging, nodeA)).To(Equal("InProgress/InProgress -1"))
	w.clock.Step(time.Second)
	w.Expect(*w.get(during, nodeA).StandardOutputContent).To(Equal("Run"))
	w.Expect(*w.get(hanging, nodeA).StandardOutputContent).To(Equal("Resume"))
}

func TestNodesThatAreNotKnownHaveNoAgent(t *testing.T) {
	w := newWorld(t)
	w.server.StopAgent(nodeA, ssmlocal.ScriptsDie)
	w.server.StartAgent(nodeA)
	w.server.SetClockSkew(nodeA, time.Hour)
	w.add(nodeA, exits(0))
	w.Expect(w.state(w.send(shell("true", nodeA)))).To(Equal("Success/Success 1 1 0 0"))
}

func TestLocalAgentStops(t *testing.T) {
	tests := map[string]struct {
		scripts ssmlocal.AgentStop
		want    string
		kinds   []ssmlocal.Kind
	}{
		"the script goes on": {ssmlocal.ScriptsGoOn, "x\n", []ssmlocal.Kind{ssmlocal.Run}},
		"the script dies":    {ssmlocal.ScriptsDie, "x\nx\n", []ssmlocal.Kind{ssmlocal.Run, ssmlocal.Resume}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			id := n.send(shell(tellGroup+"echo x >>/run/count; touch /run/started; while ! test -e /run/go; do sleep 0.01; done; cat /run/count", nodeA))
			n.started()
			n.Expect(n.groupAlive()).To(BeTrue())
			n.server.StopAgent(nodeA, tt.scripts)
			if tt.scripts == ssmlocal.ScriptsDie {
				n.Expect(n.groupAlive()).To(BeFalse())
			}
			n.Expect(os.WriteFile(n.machine.Path("/run/go"), nil, 0o600)).To(Succeed())
			if tt.scripts == ssmlocal.ScriptsGoOn {
				n.idle()
			}
			n.Expect(n.invocation(id, nodeA)).To(Equal("InProgress/InProgress -1"))
			n.server.StartAgent(nodeA)
			n.idle()
			n.Expect(n.invocation(id, nodeA)).To(Equal("Success/Success 0"))
			n.Expect(*n.get(id, nodeA).StandardOutputContent).To(Equal(tt.want))
			n.Expect(kinds(n.server.Ledger())).To(Equal(tt.kinds))
		})
	}
}
