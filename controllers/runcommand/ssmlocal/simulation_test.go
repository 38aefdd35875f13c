// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func TestOnExecutionReplacesTheLedger(t *testing.T) {
	var entries []ssmlocal.Entry
	w := newWorld(t, func(o *ssmlocal.Options) {
		o.OnExecution = func(e ssmlocal.Entry) { entries = append(entries, e) }
	})
	w.add(nodeA, takes(10*time.Second))
	in := shell("true", nodeA)
	in.Comment = aws.String("uid/Run")
	id := w.send(in)
	want := []ssmlocal.Entry{{
		InstanceID: nodeA, CommandID: id, Comment: "uid/Run", DocumentName: ssmlocal.RunShellScript,
		Kind: ssmlocal.Run, Start: w.clock.Now(),
	}}
	w.Expect(entries).To(Equal(want))
	w.clock.Step(10 * time.Second)
	w.Expect(w.state(id)).To(HavePrefix("Success"))
	w.Expect(w.server.Ledger()).To(BeEmpty())
	w.Expect(entries).To(Equal(want), "it is called at the start")
}

func TestRetentionBoundsTheHistory(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.Retention = time.Hour })
	w.add(nodeA, exits(0))
	for range 200 {
		w.send(shell("true", nodeA))
		w.clock.Step(time.Minute)
	}
	out, err := w.client.ListCommands(t.Context(), &ssm.ListCommandsInput{
		Filters: by("InvokedBefore", w.clock.Now().Add(-50*time.Minute).Format(time.RFC3339)),
	})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(out.Commands).To(HaveLen(10))
	w.Expect(w.server.Ledger()).To(HaveLen(60))
}

// BenchmarkRounds is the load of a fleet of 200 scripted nodes: a round every 30 seconds of 4 sends to 50 ids each, of which
// one fails, with the counts of all of them read twice and the results once.
func BenchmarkRounds(b *testing.B) {
	w := newWorld(b, func(o *ssmlocal.Options) {
		o.Retention = time.Hour
		o.OnExecution = func(ssmlocal.Entry) {}
	})
	w.addMany(200, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		if e.InstanceID == nodeA {
			return ssmlocal.Outcome{ExitCode: 1, Stdout: times("x", 200), Delay: time.Second}
		}
		return ssmlocal.Outcome{Stdout: times("x", 200), Delay: time.Second}
	}))
	script := times("x", 6000)
	b.ReportAllocs()
	for b.Loop() {
		var sent []string
		after := w.clock.Now().Format(time.RFC3339)
		for batch := range 4 {
			in := shell(script)
			in.Targets = nil
			for n := range 50 {
				in.InstanceIds = append(in.InstanceIds, fmt.Sprintf("i-%017x", batch*50+n+1))
			}
			in.MaxConcurrency, in.MaxErrors = aws.String("100%"), aws.String("100%")
			sent = append(sent, w.send(in))
		}
		for range 2 {
			w.clock.Step(time.Second)
			out, err := w.client.ListCommands(b.Context(), &ssm.ListCommandsInput{Filters: by("InvokedAfter", after)})
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(out.Commands).To(HaveLen(4))
		}
		for _, id := range sent {
			out, err := w.client.ListCommandInvocations(b.Context(), &ssm.ListCommandInvocationsInput{CommandId: &id, Details: true})
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(out.CommandInvocations).To(HaveLen(50))
		}
		w.clock.Step(28 * time.Second)
	}
}
