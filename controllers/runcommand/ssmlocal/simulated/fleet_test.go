// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// world is a fleet on a server with a clock of its own.
type world struct {
	*WithT
	t       *testing.T
	clock   *clocktesting.FakeClock
	server  *ssmlocal.Server
	fleet   *Fleet
	service runcommand.Service
}

func newWorld(t *testing.T, nodes int) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t, clock: clocktesting.NewFakeClock(noon)}
	w.server = ssmlocal.New(ssmlocal.Options{Clock: w.clock, ReadLag: new(time.Duration(0))})
	w.Expect(w.server.Start("")).To(Succeed())
	t.Cleanup(func() { w.Expect(w.server.Close()).To(Succeed()) })
	w.service = runcommand.NewRegions(aws.Config{
		BaseEndpoint: aws.String(w.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}, w.clock, runcommand.BudgetOptions{}).Get(runcommand.Location{Account: "123456789012", Region: "eu-central-1"})
	var err error
	w.fleet, err = NewFleet(w.server, FleetOptions{
		Nodes: nodes, Tags: map[string]string{"Role": "web"}, Booted: noon.Add(-time.Hour), Seed: 1,
	})
	w.Expect(err).NotTo(HaveOccurred())
	return w
}

// send sends a command to the first node.
func (w *world) send(command runcommand.Send, comment string) runcommand.Command {
	w.t.Helper()
	command.InstanceIDs, command.Comment, command.DeliveryTimeout = []string{ID(0)}, comment, 10*time.Minute
	sent, err := w.service.Send(w.t.Context(), command)
	w.Expect(err).NotTo(HaveOccurred())
	return sent
}

// sendScript sends a script of ours, and returns what reads its answer after some time.
func (w *world) sendScript(s sent) (read func(after time.Duration) string) {
	w.t.Helper()
	script, comment, reader := s(w.WithT, w.clock.Now())
	command := w.send(runcommand.ShellScript(script, 10*time.Minute), comment)
	return func(after time.Duration) string {
		w.t.Helper()
		w.clock.Step(after)
		invocation, err := w.service.Result(w.t.Context(), command.ID, ID(0))
		w.Expect(err).NotTo(HaveOccurred())
		if !invocation.Status.Final() {
			return string(invocation.Status)
		}
		return reader(invocation.Output)
	}
}

func TestFleet(t *testing.T) {
	w := newWorld(t, 20)
	w.Expect(w.fleet.Nodes()).To(HaveLen(20))
	w.Expect(w.fleet.Node(ID(3)).ID()).To(Equal("i-00000000000000003"))
	w.Expect(w.fleet.Node(ID(20))).To(BeNil())
	failed := w.fleet.Fail(noon, 5)
	w.Expect(failed).To(HaveLen(5))
	w.Expect(w.fleet.Down(noon)).To(ConsistOf(failed))
	w.Expect(w.fleet.Fail(noon, 100)).To(HaveLen(15), "those that are left")
	w.Expect(w.fleet.Fail(noon, 1)).To(BeEmpty())

	second := newWorld(t, 20)
	for i, n := range second.fleet.Fail(noon, 5) {
		w.Expect(n.ID()).To(Equal(failed[i].ID()), "the seed decides")
	}
	_, err := NewFleet(w.server, FleetOptions{Nodes: 1, First: 19})
	w.Expect(err).To(MatchError(ContainSubstring("taken")))
	_, err = NewFleet(w.server, FleetOptions{Nodes: 1, First: 20, Ledger: w.fleet.Ledger})
	w.Expect(err).NotTo(HaveOccurred())
}

func TestRecoveryThroughTheServer(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	n.Fail(noon)
	n.SetStep(Step{Takes: 10 * second, Helps: true})
	w.Expect(w.sendScript(probe(byFile()))(0)).To(Equal("Unhealthy/CheckFailed"))
	read := w.sendScript(recover("restart"))
	w.Expect(read(9 * second)).To(Equal("InProgress"))
	w.Expect(read(second)).To(HavePrefix("Recovered/"))
	w.Expect(w.sendScript(probe(byFile()))(0)).To(Equal("Healthy/CheckPassed"))
	w.Expect(w.fleet.Ledger.Of(uid)).To(HaveLen(1))
	w.Expect(w.fleet.Ledger.Of(uid)[0].Kind).To(Equal(ssmlocal.Run))

	replayed := w.server.Ledger()[1].CommandID
	w.Expect(w.server.Replay(ID(0), replayed)).To(Succeed())
	n.Fail(w.clock.Now())
	w.Expect(w.server.Replay(ID(0), replayed)).To(Succeed())
	w.Expect(w.fleet.Ledger.Most()).To(Equal(1), "the node does not act twice")
	w.Expect(w.fleet.Down(w.clock.Now())).To(HaveLen(1))
}

func TestRecoveryIsCancelled(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	n.Fail(noon)
	n.SetStep(Step{Takes: time.Minute, Helps: true})
	_ = w.sendScript(recover("restart", times(time.Hour, 0)))
	w.clock.Step(10 * second)
	w.Expect(w.service.Cancel(w.t.Context(), w.server.Ledger()[0].CommandID, ID(0))).To(Succeed())
	w.Expect(n.LockedBy(at(time.Hour))).To(Equal(uid), "what was killed keeps its lock")
	w.Expect(n.Up(at(5*time.Minute))).To(BeTrue(), "the step has a session of its own")
}

func TestRebootThroughTheServer(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	n.Fail(noon)
	w.Expect(w.sendScript(recover("", reboot))(second)).To(HavePrefix("Rebooting/"))
	booted := n.BootID(w.clock.Now())
	w.clock.Step(10 * second)
	read := w.sendScript(verify(uid, process.ReleaseHealthy))
	w.Expect(read(10 * second)).To(Equal("Pending"))
	w.Expect(read(29*second)).To(Equal("Unhealthy/CheckFailed"), "it is up, and the process is not yet")
	w.Expect(w.sendScript(verify(uid, process.ReleaseHealthy))(0)).To(Equal("Unhealthy/CheckFailed"))
	w.clock.Step(5 * second)
	w.Expect(w.sendScript(verify(uid, process.ReleaseHealthy))(0)).To(Equal("Healthy/CheckPassed"))
	w.Expect(n.BootID(w.clock.Now())).NotTo(Equal(booted))
	w.Expect(w.fleet.Ledger.Most()).To(Equal(1))
}

// TestStepThatCrashesTheNode has the agent run the script again when it starts.
func TestStepThatCrashesTheNode(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	n.Fail(noon)
	n.SetStep(Step{Takes: 5 * second, Fate: CrashesNode})
	read := w.sendScript(recover("restart"))
	w.Expect(read(30 * second)).To(Equal("InProgress"))
	w.Expect(read(30 * second)).To(HavePrefix("Withheld/AlreadyRan"))
	w.Expect(w.fleet.Ledger.Most()).To(Equal(1))
	w.Expect(n.Up(w.clock.Now())).To(BeTrue())
}

func TestConnect(t *testing.T) {
	w := newWorld(t, 2)
	n := w.fleet.Nodes()[0]
	n.GoDown(noon, Boot{Takes: time.Minute, Starts: true})
	w.fleet.Connect(noon)
	read := w.sendScript(probe(byFile()))
	w.Expect(read(30 * second)).To(Equal("Pending"))
	w.fleet.Connect(w.clock.Now())
	w.Expect(read(30 * second)).To(Equal("Pending"))
	w.fleet.Connect(w.clock.Now())
	w.Expect(read(0)).To(Equal("Healthy/CheckPassed"))
}

func TestDocumentThroughTheServer(t *testing.T) {
	w := newWorld(t, 1)
	w.Expect(w.server.AddDocument(ssmlocal.Document{Name: "Restart", Versions: []ssmlocal.DocumentVersion{{
		Steps: []ssmlocal.Step{{Name: "stop", Script: "stop"}, {Name: "start", Script: "start"}},
	}}})).To(Succeed())
	n := w.fleet.Nodes()[0]
	n.Fail(noon)
	n.OnStep(func(e Effect) Step { return Step{Takes: 2 * second, Helps: e.DocumentStep == "start"} })
	w.Expect(w.sendScript(recover("", document))(0)).To(HavePrefix("Cleared/"))
	sent := w.send(runcommand.Send{Document: "Restart"}, uid+"/Run")
	w.clock.Step(4 * second)
	var statuses []runcommand.Status
	for invocation, err := range w.service.Invocations(w.t.Context(), runcommand.InvocationFilter{CommandID: sent.ID}) {
		w.Expect(err).NotTo(HaveOccurred())
		statuses = append(statuses, invocation.Status)
	}
	w.Expect(statuses).To(Equal([]runcommand.Status{runcommand.StatusSuccess}))
	w.Expect(w.fleet.Ledger.Of(uid)).To(HaveLen(2))
	w.Expect(w.fleet.Ledger.Most()).To(Equal(1))
	w.Expect(w.sendScript(verify(uid, process.ReleaseHealthy))(0)).To(Equal("Healthy/CheckPassed"))
	w.Expect(n.LockedBy(w.clock.Now())).To(BeEmpty())
}

func TestSkewOfANode(t *testing.T) {
	w := newWorld(t, 1)
	n := w.fleet.Nodes()[0]
	n.Fail(noon)
	w.server.SetClockSkew(n.ID(), 2*time.Hour)
	w.Expect(w.sendScript(recover("restart"))(0)).To(Equal("Withheld/" + process.ReasonTooLate + " started done"))
}

// TestAtTheSameTime is for the race detector.
func TestAtTheSameTime(t *testing.T) {
	w := newWorld(t, 20)
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for n := range 20 {
				node := w.fleet.Nodes()[n]
				w.fleet.Fail(w.clock.Now(), 3)
				script, comment, _ := recover("restart", by(fmt.Sprint("uid-", n)))(w.WithT, w.clock.Now())
				sent := runcommand.ShellScript(script, time.Minute)
				sent.InstanceIDs, sent.Comment = []string{node.ID()}, comment
				_, err := w.service.Send(w.t.Context(), sent)
				w.Expect(err).NotTo(HaveOccurred())
				node.SetStep(Step{Takes: time.Duration(i) * second, Helps: true})
				w.fleet.Connect(w.clock.Now())
				w.clock.Step(second)
			}
		})
	}
	wait.Wait()
	w.clock.Step(time.Minute)
	w.Expect(w.server.Ledger()).To(HaveLen(80))
	w.Expect(w.fleet.Ledger.Most()).To(Equal(1))
}
