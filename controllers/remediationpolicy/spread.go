// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// placeOf is the place of a policy in its period, from 0 to 1. A thousand policies that were applied together would otherwise
// probe together for good.
func placeOf(policy types.NamespacedName) float64 {
	hash := sha256.Sum256([]byte(policy.String()))
	return float64(binary.BigEndian.Uint32(hash[:])) / (1 << 32)
}

// nextRound is when the round after one that began at start is due: a period later, or up to a tenth of it earlier, until the
// policy has come to its place.
func nextRound(start time.Time, period time.Duration, place float64) time.Time {
	due := start.Add(period)
	past := (due.UnixNano() - int64(place*float64(period))) % int64(period)
	return due.Add(-min(time.Duration(past), period/10))
}
