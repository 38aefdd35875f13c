// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import "context"

// beginQueued begins the rounds that are queued, as the workers of Start would, but before it returns.
func (p *Prober) beginQueued(ctx context.Context) {
	for _, l := range p.lanes {
		for len(l.queue) > 0 {
			p.begin(ctx, <-l.queue)
		}
	}
}
