// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"time"
)

// lock is the last one that was taken on the node.
type lock struct {
	// owner is the uid of the recovery, with a remark when it is for a reboot; boot the one in which it was taken.
	owner string
	boot  int
	// taken is when it was.
	taken time.Time
	// until is when it expires, in seconds since boot.
	until int64
	// released is when it is given back, by a run that gets that far; zero when it is not.
	released   time.Time
	releasedBy *plan
}

// engaged tells whether the lock is held in a state of the node.
func (l *lock) engaged(s state) bool {
	if l.boot != s.boot || s.uptime() > l.until || s.at.Before(l.taken) {
		return false
	}
	return l.released.IsZero() || s.at.Before(l.released)
}

func (l *lock) holder(s state) string {
	return fmt.Sprintf("the recovery %s for at most %d s", l.owner, l.until-s.uptime())
}

// take takes a lock that is not held, for so many seconds.
func (l *lock) take(s state, owner string, seconds int64) {
	*l = lock{owner: owner, boot: s.boot, taken: s.at, until: s.uptime() + seconds}
}

// traffic is what a watch sees of the lock: what is the same before and after a look, and not held, tells that no recovery was
// at work meanwhile.
type traffic struct {
	taken time.Time
	held  bool
}

func (l *lock) traffic(s state) traffic {
	if s.at.Before(l.taken) {
		return traffic{}
	}
	return traffic{taken: l.taken, held: l.engaged(s)}
}

func (l *lock) release(at time.Time, by *plan) {
	l.released, l.releasedBy = at, by
}
