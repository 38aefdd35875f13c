// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/hack/chaos/scaled"
)

// ssmReads are the kinds of calls that read from Systems Manager.
var ssmReads = []string{kindCounts, kindNodes, kindResult, kindInventory}

// ssmSends are those that send.
var ssmSends = []string{kindSend, kindProbe}

var ssmCalls = slices.Concat(ssmReads, ssmSends)

// tooLate is how long an answer takes that nobody waits for any more, on the run's clock: more than cmd/manager's callTimeout.
const tooLate = 20 * time.Second

// ssmRows are about Systems Manager: it throttles, fails, loses, lags, and delivers what it says that it has not.
func ssmRows() []*row {
	throttled := ssmError(http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
	broken := ssmError(http.StatusInternalServerError, "InternalServerError", "an internal error")
	late := func(r *run) treatment { return treatment{delay: r.clock.Real(tooLate)} }
	send := []string{kindSend}
	return []*row{
		{point: "SSM calls", fault: "throttled", bounded: true, script: sometimes(0.3, ssmCalls, always(treatment{answer: throttled}))},
		{point: kindSend, fault: "throttled", script: sometimes(0.7, send, always(treatment{answer: throttled}))},
		{point: "SSM calls", fault: "error 500", script: sometimes(0.3, ssmCalls, always(treatment{answer: broken}))},
		{point: kindSend, fault: "error 500, nothing done", script: sometimes(0.5, send, always(treatment{answer: broken}))},
		{point: kindSend, fault: "error 500, carried out",
			script: sometimes(0.5, send, always(treatment{answer: broken, carriedOut: true}))},
		{point: kindSend, fault: "connection lost, nothing done", bounded: true,
			script: sometimes(0.5, send, always(treatment{lose: loseCall}))},
		{point: kindSend, fault: "connection lost, carried out", bounded: true,
			script: sometimes(0.5, send, always(treatment{lose: loseAnswer}))},
		{point: kindSend, fault: "answer after the time-out", script: sometimes(0.5, send, late)},
		{point: "SSM reads", fault: "connection lost", script: sometimes(0.4, ssmReads, always(treatment{lose: loseAnswer}))},
		{point: "SSM reads", fault: "answer after the time-out", script: sometimes(0.15, ssmReads, late)},
		{point: "SSM lists", fault: "lag by up to half a minute, wrong order", bounded: true, prepare: lagging},
		{point: kindSend, fault: "Undeliverable that did run", prepare: undeliverable},
		{point: "clocks of SSM and nodes", fault: "a minute ahead", endpoint: skewed(time.Minute)},
		{point: "clocks of SSM and nodes", fault: "a minute behind", endpoint: skewed(-time.Minute)},
	}
}

// lagging makes new commands invisible for long, and lists begin with the oldest one.
func lagging(r *run) {
	r.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		r.hit()
		if c.Operation == kindSend {
			return ssmlocal.Fault{Lag: r.between(0, 30*time.Second)}
		}
		return ssmlocal.Fault{Reverse: true}
	})
}

// undeliverable lets some commands of recoveries end as Undeliverable that do run.
func undeliverable(r *run) {
	r.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if !ofRecovery(c) || r.heads(0.5) {
			return ssmlocal.Fault{}
		}
		r.hit()
		return ssmlocal.Fault{UndeliverableRan: true}
	})
}

// ofRecovery reports whether a call sends a command of a recovery.
func ofRecovery(c ssmlocal.Call) bool {
	return c.Operation == kindSend && !strings.HasPrefix(c.Comment, "probe/")
}

// skewed lets the clocks of Systems Manager and its nodes differ from that of the managers.
func skewed(by time.Duration) func(*run, *ssmlocal.Options) {
	return func(r *run, o *ssmlocal.Options) {
		o.Clock = ahead{r.clock, by}
		r.hit()
	}
}

// ahead is a clock that is ahead of the run's.
type ahead struct {
	*scaled.Clock
	by time.Duration
}

var _ clock.WithTicker = ahead{}

// Now is the time.
func (a ahead) Now() time.Time { return a.Clock.Now().Add(a.by) }

// Since is the time that has passed since then.
func (a ahead) Since(then time.Time) time.Duration { return a.Now().Sub(then) }
