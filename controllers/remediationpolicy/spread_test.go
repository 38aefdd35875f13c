// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
)

func TestPoliciesThatBeginTogetherSpreadOverThePeriod(t *testing.T) {
	g, noon, period := NewWithT(t), time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC), 30*time.Second
	const policies = 300
	inSecond := map[int]int{}
	for n := range policies {
		place := placeOf(types.NamespacedName{Namespace: fmt.Sprint("team-", n%7), Name: fmt.Sprint("policy-", n)})
		at := noon
		for range 12 {
			next := nextRound(at, period, place)
			g.Expect(next.Sub(at)).To(BeNumerically("~", period, period/10))
			g.Expect(next.Sub(at)).To(BeNumerically("<=", period))
			at = next
		}
		g.Expect(nextRound(at, period, place)).To(Equal(at.Add(period)), "it has come to its place")
		inSecond[int(at.Sub(noon)%period/time.Second)]++
	}
	for second := range 30 {
		g.Expect(inSecond[second]).To(BeNumerically("~", policies/30, policies/30), "second %d", second)
	}
}

func TestAPolicyAloneKeepsItsPeriod(t *testing.T) {
	g, period := NewWithT(t), 10*time.Second
	at := time.Unix(1790000003, 0)
	g.Expect(nextRound(at, period, 0.3)).To(Equal(at.Add(period)))
}
