// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"math"
	"slices"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// groups divides nodes into those that are sent to together by their ids. A command reaches its nodes in waves, and one that is silent
// though AWS calls it online holds up those behind it. So nodes that did not answer the last time are asked apart from the others, in
// groups of about the square root of their number: that takes few commands, and most of the groups have no silent node any more.
func groups(ids []string, silent func(id string) bool) [][]string {
	heard, unheard := []string{}, []string{}
	for _, id := range ids {
		if silent(id) {
			unheard = append(unheard, id)
		} else {
			heard = append(heard, id)
		}
	}
	size := min(int(math.Sqrt(float64(len(unheard)))), runcommand.MaxInstanceIDs)
	return slices.AppendSeq(
		slices.Collect(slices.Chunk(heard, runcommand.MaxInstanceIDs)),
		slices.Chunk(unheard, max(size, 1)))
}
