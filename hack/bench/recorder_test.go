// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/hack/ssmcall"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// instant is a clock on which sleeping makes the time pass.
type instant struct{ *clocktesting.FakeClock }

// Sleep implements clock.Clock.
func (i instant) Sleep(d time.Duration) { i.Step(d) }

// endpoint is a recorder in front of simulated nodes, and the naive loop that speaks to it.
func endpoint(t *testing.T, nodes int, rate float64) (*recorder, *naiveLoop, *coverage) {
	t.Helper()
	c := newCoverage(1, nodes)
	clk := instant{clocktesting.NewFakeClock(noon)}
	server := ssmlocal.New(ssmlocal.Options{Clock: clk, AckDelay: ackDelay, OnExecution: c.see})
	server.SetRateLimit(rate)
	if _, err := simulated.NewFleet(server, simulated.FleetOptions{Nodes: nodes, Booted: noon.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r, err := record(server, clk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.stop()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	loop, err := newNaiveLoop(r.url, clk)
	if err != nil {
		t.Fatal(err)
	}
	return r, loop, c
}

func TestNaiveLoopIsRecorded(t *testing.T) {
	const nodes = 7
	r, loop, c := endpoint(t, nodes, 0)
	if err := loop.round(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	later := noon.Add(time.Hour)
	calls := r.between(noon, later)
	count := byOperation(calls)
	if count["SendCommand"] != nodes || count["GetCommandInvocation"] < nodes || len(count) != 2 {
		t.Errorf("got %v", count)
	}
	if n := refusals(calls); n != 0 {
		t.Errorf("%d calls were refused", n)
	}
	if s := c.between(noon, later); s.fewest != 1 || s.most != 1 || s.mean != 1 {
		t.Errorf("the first node was probed %+v", s)
	}
	if len(r.between(later, later.Add(time.Hour))) != 0 {
		t.Error("there are calls from the future")
	}
}

func TestRefusedCallsAreRecorded(t *testing.T) {
	r, loop, _ := endpoint(t, 1, 1)
	// The pauses of the SDK would be in real time.
	loop.client = ssm.New(loop.client.Options(), func(o *ssm.Options) { o.Retryer = aws.NopRetryer{} })
	if err := loop.probe(t.Context(), simulated.ID(0)); err != nil {
		t.Fatal(err)
	}
	if err := loop.probe(t.Context(), simulated.ID(0)); err == nil {
		t.Error("the second send is within the limit")
	}
	calls := r.between(noon, noon.Add(time.Hour))
	if n := refusals(calls); n != 1 {
		t.Errorf("%d of %d calls were refused", n, len(calls))
	}
}

func TestBusiest(t *testing.T) {
	var calls []call
	for _, second := range []int{0, 30, 60, 61, 62, 119, 200} {
		calls = append(calls, call{at: noon.Add(time.Duration(second) * time.Second)})
	}
	if got, want := busiest(calls, time.Minute), 4.0/60; got != want {
		t.Errorf("got %v a second, want %v", got, want)
	}
	if got := busiest(nil, time.Minute); got != 0 {
		t.Errorf("got %v without calls", got)
	}
}

func TestCallsToSend(t *testing.T) {
	at := func(second int, c call) call {
		c.at = noon.Add(time.Duration(second) * time.Second)
		return c
	}
	send := call{operation: ssmcall.SendCommand, purpose: ssmcall.Run, remediation: "u"}
	refused, other, probe := send, send, call{operation: ssmcall.SendCommand, purpose: ssmcall.Probe}
	refused.refused, other.remediation = true, "v"
	remediation := opened("u", noon.Add(10*time.Second))
	for name, c := range map[string]struct {
		calls []call
		want  int
		sent  bool
	}{
		"at once":              {[]call{at(5, probe), at(11, send)}, 0, true},
		"others before it":     {[]call{at(11, probe), at(12, other), at(13, send), at(14, probe)}, 2, true},
		"refused at first":     {[]call{at(11, refused), at(13, send)}, 1, true},
		"never":                {[]call{at(11, refused), at(13, other)}, 0, false},
		"answered before them": {[]call{at(12, send), at(11, probe)}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got, sent := callsToSend(remediation, c.calls); got != c.want || sent != c.sent {
				t.Errorf("got %d, %t", got, sent)
			}
		})
	}
}
