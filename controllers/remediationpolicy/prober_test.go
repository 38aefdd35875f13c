// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import "context"

// beginQueued begins the rounds that are queued, as the workers of Start would, but before it returns.
func (p *Prober) beginQueued(ctx context.Context) {
	for {
		select {
		case r := <-p.queue:
			p.begin(ctx, r)
		default:
			return
		}
	}
}
