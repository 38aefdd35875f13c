// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/hack/ssmcall"
)

const (
	// throttledWarmUp and throttledTime are how long it is waited, and then measured.
	throttledWarmUp = 5 * time.Minute
	throttledTime   = 15 * time.Minute
	// throttledKills is how many processes end meanwhile.
	throttledKills = 20
	// mostCallsToSend is how many calls may be made between the decision to recover and the send.
	mostCallsToSend = 2
)

// throttled measures what becomes of probing and recovery when the endpoint takes fewer calls than the policies need.
func throttled(ctx context.Context, r *run) error {
	if err := r.sleep(ctx, throttledWarmUp); err != nil {
		return err
	}
	from, err := r.moment(ctx)
	if err != nil {
		return err
	}
	var kills []kill
	for _, node := range r.pick(throttledKills) {
		at := from.at.Add(time.Duration(r.rng.Int64N(int64(throttledTime / 2))))
		node.Fail(at)
		kills = append(kills, kill{node, at})
	}
	if err := r.sleep(ctx, throttledTime); err != nil {
		return err
	}
	to := r.clock.Now()
	if r.result.steady, err = r.since(ctx, from); err != nil {
		return err
	}
	calls := r.recorder.between(from.at, to)
	span := to.Sub(from.at)
	r.result.atMost("calls a second", float64(len(calls))/span.Seconds(), 1.1*r.row.rate, "", counted)
	r.result.atMost("calls a second in the busiest minute", busiestMinute(calls), 1.1*r.row.rate, "", counted)
	r.result.tell("calls that were refused", "%d of %s", refusals(calls), figure(float64(len(calls))))
	r.tellSpread(r.coverage.between(from.at, to))
	if err := r.recovered(ctx, kills, recoveryTime); err != nil {
		return err
	}
	return r.tellSends(ctx)
}

// tellSpread tells how evenly policies were probed. Where all take turns, one may be ahead of another by little more than a turn.
func (r *run) tellSpread(s spread) {
	r.result.mustBe("policies are probed in turn", s.fewest > 0 && s.most <= 2*s.fewest+1,
		fmt.Sprintf("%d to %d rounds of a policy", s.fewest, s.most), counted)
	r.result.tell("longest time that a policy was without a probe", "%s s", seconds(s.longest))
}

// tellSends tells how many calls were made between the decision to recover and the send that was accepted.
func (r *run) tellSends(ctx context.Context) error {
	remediations, err := r.remediations(ctx)
	if err != nil {
		return err
	}
	calls := r.recorder.between(r.began, r.clock.Now())
	var between []int
	for i := range remediations {
		if n, sent := callsToSend(&remediations[i], calls); sent {
			between = append(between, n)
		}
	}
	slices.Sort(between)
	if len(between) == 0 {
		r.result.mustBe("recoveries were sent", false, "none", counted)
		return nil
	}
	r.result.tell("calls between a decision and its send, median", "%d", between[len(between)/2])
	r.result.atMost("calls between a decision and its send, most", float64(between[len(between)-1]), mostCallsToSend, "", counted)
	return nil
}

// callsToSend counts the calls after a Remediation was opened and before its command was accepted. The calls are in the order
// in which they were answered.
func callsToSend(remediation *v1alpha1.Remediation, calls []call) (n int, sent bool) {
	open := remediation.Spec.OpenTime.Time
	at := slices.IndexFunc(calls, func(c call) bool {
		return c.purpose == ssmcall.Run && c.remediation == string(remediation.UID) && !c.refused
	})
	if at < 0 {
		return 0, false
	}
	for _, c := range calls {
		if c.at.After(open) && c.at.Before(calls[at].at) {
			n++
		}
	}
	return n, true
}
