// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// leastRate is what remains when AWS refuses everything: enough to find out when it does no more.
const leastRate = 0.5

// How the rate follows what AWS lets through. It is cut when a call is refused, climbs back quickly to a little less than what
// was too much, and goes on from there slowly at first and then faster, in case AWS lets more through by now: the shape of
// CUBIC, the congestion control of TCP. The steps are by call and not by time, so that a rate that nobody makes use of does not
// grow. Simulated against limits of 1 to 15 calls a second, one call in 15 to 30 is refused and 80 to 100% of the limit is used.
const (
	cutTo     = 0.7
	kneeAt    = 0.9
	climb     = 0.1
	probeStep = 0.05
	leastStep = 0.004
)

// pace is the rate of calls: a bucket of calls that is filled at a rate that adapts. It is not to be used by several goroutines
// at a time.
type pace struct {
	limiter *rate.Limiter
	// most is the configured rate, 0 for no limit.
	most float64
	// knee is a little less than the rate that was last too much.
	knee float64
	// begun counts the calls. Those up to cut had begun when the rate was last cut: that they are refused as well is no news.
	begun, cut int64
}

func newPace(perSecond float64) pace {
	if perSecond <= 0 {
		return pace{limiter: rate.NewLimiter(rate.Inf, 0)}
	}
	return pace{limiter: rate.NewLimiter(rate.Limit(perSecond), burst(perSecond)), most: perSecond}
}

// burst is how many calls may be made at once after a pause: those of half a second. What AWS allows at once is as unknown as the
// rest.
func burst(perSecond float64) int { return max(1, int(perSecond/2)) }

// rate is the number of calls a second at present, infinite without a limit.
func (p *pace) rate() float64 {
	if p.most == 0 {
		return math.Inf(1)
	}
	return float64(p.limiter.Limit())
}

func (p *pace) set(now time.Time, perSecond float64) {
	p.limiter.SetLimitAt(now, rate.Limit(perSecond))
	p.limiter.SetBurstAt(now, burst(perSecond))
}

// take takes a call out of the bucket, if there is one.
func (p *pace) take(now time.Time) bool { return p.limiter.AllowN(now, 1) }

// delay is how long it takes until there is a call in the bucket, in whole milliseconds.
func (p *pace) delay(now time.Time) time.Duration {
	missing := 1 - p.limiter.TokensAt(now)
	return time.Duration(max(1, math.Ceil(1000*missing/p.rate()))) * time.Millisecond
}

// begin numbers a call.
func (p *pace) begin() int64 {
	p.begun++
	return p.begun
}

// refused takes in that AWS has throttled a call. It cuts the rate once for all calls that were under way, and leaves nothing in
// the bucket, because AWS's own is empty.
func (p *pace) refused(call int64, now time.Time) {
	if p.most == 0 || call <= p.cut {
		return
	}
	p.cut = p.begun
	p.knee = kneeAt * p.rate()
	p.set(now, max(cutTo*p.rate(), min(leastRate, p.most)))
	p.limiter.AllowN(now, int(p.limiter.TokensAt(now)))
}

// passed takes in that AWS has carried out a call. The rate grows when all of it was made use of.
func (p *pace) passed(now time.Time) {
	if p.most == 0 || p.rate() >= p.most || p.limiter.TokensAt(now) >= 1 {
		return
	}
	below := p.knee - p.rate()
	step := leastStep*p.rate() + max(climb*below, -probeStep*below)
	p.set(now, min(p.rate()+step, p.most))
}
