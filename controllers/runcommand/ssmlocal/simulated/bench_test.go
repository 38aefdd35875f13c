// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

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
