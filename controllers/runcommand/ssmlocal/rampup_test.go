// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// waves counts the executions that started at each second.
func waves(entries []ssmlocal.Entry) []int {
	var list []int
	for i, e := range entries {
		if i == 0 || e.Start.After(entries[i-1].Start) {
			list = append(list, 0)
		}
		list[len(list)-1]++
	}
	return list
}

func TestRampUp(t *testing.T) {
	const ack, run = time.Second, 10 * time.Second
	tests := map[string]struct {
		model       ssmlocal.RampUp
		concurrency string
		want        []int
		// took is from the send to the last start.
		took time.Duration
	}{
		"on acknowledgement":           {ssmlocal.RampUpOnAcknowledgement, "100%", []int{1, 2, 4, 8, 5}, 5 * ack},
		"on completion":                {ssmlocal.RampUpOnCompletion, "100%", []int{1, 2, 4, 8, 5}, 5*ack + 4*run},
		"on completion, three at once": {ssmlocal.RampUpOnCompletion, "3", []int{1, 2, 3, 3, 3, 3, 3, 2}, 8*ack + 7*run},
		"acknowledged, but only 3 run": {
			ssmlocal.RampUpOnAcknowledgement, "3", []int{1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1}, 8*ack + 6*run,
		},
		"percent": {
			ssmlocal.RampUpOnCompletion, "10%", []int{1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1}, 11*ack + 10*run,
		},
		"at least one": {ssmlocal.RampUpOnCompletion, "1%", slices.Repeat([]int{1}, 20), 20*ack + 19*run},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *ssmlocal.Options) { o.RampUp, o.AckDelay = tt.model, ack })
			w.addMany(20, takes(run))
			in := shell("true")
			in.MaxConcurrency = &tt.concurrency
			sent := w.clock.Now()
			id := w.send(in)
			w.clock.Step(30 * time.Minute)
			w.Expect(w.state(id)).To(Equal("Success/Success 20 20 0 0"))
			entries := w.server.Ledger()
			w.Expect(waves(entries)).To(Equal(tt.want))
			w.Expect(entries[19].Start.Sub(sent)).To(Equal(tt.took))
		})
	}
}

func TestMaxErrorsStopsTheRest(t *testing.T) {
	tests := map[string]struct {
		maxErrors *string
		want      string
		ran       int
	}{
		// The third error stops the command when 2 more nodes have it already: these end.
		"default":  {nil, "Failed/Failed 20 20 1 0", 1},
		"two":      {new("2"), "Failed/Failed 20 20 5 0", 5},
		"percent":  {new("10%"), "Failed/Failed 20 20 5 0", 5},
		"all":      {new("100%"), "Failed/Incomplete 20 20 20 0", 20},
		"half a %": {new("4%"), "Failed/Failed 20 20 1 0", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *ssmlocal.Options) { o.RampUp = ssmlocal.RampUpOnCompletion })
			w.addMany(20, outcome(ssmlocal.Outcome{ExitCode: 1, Delay: time.Second}))
			in := shell("true")
			in.MaxErrors = tt.maxErrors
			id := w.send(in)
			w.clock.Step(time.Minute)
			w.Expect(w.state(id)).To(Equal(tt.want))
			w.Expect(w.server.Ledger()).To(HaveLen(tt.ran))
			if tt.ran < 20 {
				w.Expect(w.invocation(id, "i-00000000000000014")).To(HaveSuffix("/Terminated -1"))
			}
		})
	}
}

func TestSilentNodesHoldTheRampUp(t *testing.T) {
	w := newWorld(t)
	w.addMany(10, ssmlocal.Scripted(ssmlocal.Healthy))
	w.server.SetConnection("i-00000000000000001", ssmlocal.ConnectionLost)
	id := w.send(shell("true"))
	w.clock.Step(time.Hour - time.Second)
	w.Expect(w.state(id)).To(Equal("Pending/Pending 10 0 0 0"), "the first wave has one node, and that is silent")
	w.clock.Step(time.Second)
	w.Expect(w.state(id)).To(Equal("TimedOut/DeliveryTimedOut 10 10 0 10"))
	w.Expect(w.server.Ledger()).To(BeEmpty())
}
