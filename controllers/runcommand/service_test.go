// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func TestNodesReadsAllPages(t *testing.T) {
	w := newWorld(t, 120)
	w.server.SetConnection(id(3), ssmlocal.ConnectionLost)
	w.server.SetConnection(id(4), ssmlocal.Absent)
	nodes, err := w.region.Nodes(t.Context(), NodeFilter{Tags: []Tag{{Key: "Role", Values: []string{"db", "web"}}}})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(nodes).To(HaveLen(119))
	w.Expect(nodes).To(ContainElement(Node{InstanceID: id(0), Online: true, PingStatus: "Online", Platform: "Linux"}))
	w.Expect(nodes).To(ContainElement(Node{InstanceID: id(3), PingStatus: "ConnectionLost", Platform: "Linux"}))

	var ids []string
	for n := range 60 {
		ids = append(ids, id(n))
	}
	nodes, err = w.region.Nodes(t.Context(), NodeFilter{InstanceIDs: ids})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(nodes).To(HaveLen(59))
}

func TestInvocationsTellEachNode(t *testing.T) {
	w := newWorld(t, 3)
	w.outcome = func(e ssmlocal.Execution) ssmlocal.Outcome {
		if e.InstanceID == id(1) {
			return ssmlocal.Outcome{ExitCode: 1, Stdout: "out"}
		}
		return ssmlocal.Outcome{}
	}
	w.server.SetConnection(id(2), ssmlocal.Undeliverable)
	sent := w.send("a", 3)
	invocations, err := whole(w.region.Invocations(t.Context(), InvocationFilter{CommandID: sent.ID}))
	w.Expect(err).NotTo(HaveOccurred())
	byID := map[string]Invocation{}
	for _, i := range invocations {
		byID[i.InstanceID] = i
	}
	w.Expect(byID[id(0)].Status).To(Equal(StatusSuccess))
	w.Expect(byID[id(1)].Status).To(Equal(StatusFailed))
	w.Expect(byID[id(1)].ResponseCode).To(Equal(1))
	w.Expect(byID[id(1)].Output).To(HavePrefix("out"))
	w.Expect(byID[id(2)].Status).To(Equal(StatusUndeliverable))
}

func TestCommandsFilter(t *testing.T) {
	w := newWorld(t, 2)
	early := w.send("early", 1)
	w.clock.Step(time.Minute)
	late := w.send("late", 2)
	for name, test := range map[string]struct {
		filter CommandFilter
		want   []string
	}{
		"all, the newest first": {CommandFilter{}, []string{late.ID, early.ID}},
		"by id":                 {CommandFilter{ID: early.ID}, []string{early.ID}},
		"by instance":           {CommandFilter{InstanceID: id(1)}, []string{late.ID}},
		"after":                 {CommandFilter{After: noon.Add(30 * time.Second)}, []string{late.ID}},
		"before":                {CommandFilter{Before: noon.Add(30 * time.Second)}, []string{early.ID}},
	} {
		t.Run(name, func(t *testing.T) {
			commands, err := whole(w.region.Commands(t.Context(), test.filter))
			g := NewWithT(t)
			g.Expect(err).NotTo(HaveOccurred())
			var ids []string
			for _, c := range commands {
				ids = append(ids, c.ID)
			}
			g.Expect(ids).To(Equal(test.want))
		})
	}
}

func TestShellScriptKeepsToTheAgentsLeastTimeout(t *testing.T) {
	g := NewWithT(t)
	g.Expect(ShellScript("true", 2*time.Second).Parameters["executionTimeout"]).To(Equal([]string{"5"}))
	g.Expect(ShellScript("true", 90*time.Second).Parameters["executionTimeout"]).To(Equal([]string{"90"}))
}

func TestStatuses(t *testing.T) {
	g := NewWithT(t)
	g.Expect(parseStatus("Delivery Timed Out")).To(Equal(StatusDeliveryTimedOut))
	g.Expect(StatusUndeliverable.Final()).To(BeTrue())
	g.Expect(StatusUndeliverable.Ran()).To(BeFalse())
	g.Expect(StatusCancelling.Final()).To(BeFalse())
	g.Expect(Status("SomethingNew").Final()).To(BeFalse())
	g.Expect(StatusExecutionTimedOut.Ran()).To(BeTrue())
}
