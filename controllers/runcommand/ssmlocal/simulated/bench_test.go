// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// BenchmarkProbe is one probe of one node of 10,000.
func BenchmarkProbe(b *testing.B) {
	nodes := make([]*Node, 10_000)
	for i := range nodes {
		nodes[i] = New(ID(i), noon, &Ledger{})
	}
	script, comment, _ := probe(byFile())(NewWithT(b), noon)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		nodes[i%len(nodes)].run(ssmlocal.Execution{Script: script, Comment: comment, Start: noon, Timeout: time.Minute})
	}
}

// BenchmarkRound is one command to 10,000 nodes, from the send to its end.
func BenchmarkRound(b *testing.B) {
	g := NewWithT(b)
	clock := clocktesting.NewFakeClock(noon)
	server := ssmlocal.New(ssmlocal.Options{
		Clock: clock, AckDelay: 500 * time.Millisecond, Retention: 5 * time.Minute, OnExecution: func(ssmlocal.Entry) {},
	})
	fleet, err := NewFleet(server, FleetOptions{Nodes: 10_000, Tags: map[string]string{"Role": "web"}, Booted: noon.Add(-time.Hour)})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(server.Start("")).To(Succeed())
	defer func() { g.Expect(server.Close()).To(Succeed()) }()
	for _, node := range fleet.Nodes() {
		node.SetLookTakes(200 * time.Millisecond)
	}
	client := ssm.New(ssm.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL()), Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	b.ReportAllocs()
	for b.Loop() {
		script, comment, _ := probe(byFile())(g, clock.Now())
		_, err := client.SendCommand(b.Context(), &ssm.SendCommandInput{
			DocumentName: aws.String(ssmlocal.RunShellScript), Comment: &comment, TimeoutSeconds: aws.Int32(30),
			Targets:        []types.Target{{Key: aws.String("tag:Role"), Values: []string{"web"}}},
			MaxConcurrency: aws.String("100%"), MaxErrors: aws.String("100%"),
			Parameters: map[string][]string{"commands": {script}, "executionTimeout": {"60"}},
		})
		g.Expect(err).NotTo(HaveOccurred())
		clock.Step(30 * time.Second)
		_ = server.Invocations()
	}
}

// BenchmarkRecovery is one recovery on a node that has had many.
func BenchmarkRecovery(b *testing.B) {
	g, n := NewWithT(b), New(ID(0), noon, &Ledger{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		start := noon.Add(time.Duration(i) * time.Minute)
		n.Fail(start)
		script, comment, _ := recover("restart", by(fmt.Sprint("uid", i)))(g, start)
		b.StartTimer()
		n.run(ssmlocal.Execution{Script: script, Comment: comment, Start: start, Timeout: time.Minute})
	}
}

// BenchmarkWatch is a watch of five minutes on one node of 10,000, which is told once that the process has died.
func BenchmarkWatch(b *testing.B) {
	nodes := make([]*Node, 10_000)
	for i := range nodes {
		nodes[i] = New(ID(i), noon, &Ledger{})
	}
	script, comment, _ := watchOf(byFile(), 5*time.Minute, 2)(NewWithT(b), noon)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n, start := nodes[i%len(nodes)], noon.Add(time.Duration(i/len(nodes))*time.Hour)
		n.Start(start)
		o := n.run(ssmlocal.Execution{Script: script, Comment: comment, Start: start, Timeout: time.Hour})
		n.Fail(start.Add(time.Minute))
		o = o.Forecast.Renew(start.Add(time.Minute))
		if o.ExitCode != 1 {
			b.Fatal(o.Stdout)
		}
	}
}
