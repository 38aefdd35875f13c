// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"sync/atomic"
)

// Reservation is a call that was waited for and is not made yet.
type Reservation struct {
	budget *Budget
	spent  atomic.Bool
}

// Reserve waits for a call, at the priority of the context. It is for those who have to know the time at which they call, or who
// look once more before they do: between that and the call there must be no queue. A call that is not made after all is lost,
// which does no harm.
func (b *Budget) Reserve(ctx context.Context) (*Reservation, error) {
	if err := b.Wait(ctx, priorityOf(ctx)); err != nil {
		return nil, err
	}
	return &Reservation{budget: b}, nil
}

type reservationKey struct{}

// In returns a context in which one call is made without waiting.
func (r *Reservation) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, reservationKey{}, r)
}

// spendReserved reports whether the call was waited for already.
func (b *Budget) spendReserved(ctx context.Context) bool {
	r, ok := ctx.Value(reservationKey{}).(*Reservation)
	return ok && r.budget == b && r.spent.CompareAndSwap(false, true)
}
