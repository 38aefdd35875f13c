// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package shard_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/shard"
)

// parse makes a shard of what flags say.
func parse(t *testing.T, namespaces, policies string) shard.Shard {
	t.Helper()
	g, s := NewWithT(t), shard.Shard{}
	var err error
	s.Namespaces, err = shard.ParseNamespaces(namespaces)
	g.Expect(err).NotTo(HaveOccurred())
	s.Policies, err = shard.ParsePolicies(policies)
	g.Expect(err).NotTo(HaveOccurred())
	return s
}

func TestOnlyReplicasContendForALease(t *testing.T) {
	for name, c := range map[string]struct {
		namespaces, policies           string
		otherNamespaces, otherPolicies string
		same                           bool
	}{
		"everything":                                {"", "", "", "", true},
		"the same namespaces in another order":      {"web,shop", "", " shop, web,web", "", true},
		"the same policies in another order":        {"", "team=a,tier!=x", "", "tier!=x, team=a", true},
		"everything and a part":                     {"", "", "web", "", false},
		"other namespaces":                          {"web", "", "shop", "", false},
		"more namespaces":                           {"web", "", "web,shop", "", false},
		"other policies in the same namespaces":     {"web", "team=a", "web", "team!=a", false},
		"the same policies in other namespaces":     {"web", "team=a", "shop", "team=a", false},
		"policies that are named like a namespace":  {"web", "", "", "web", false},
		"two namespaces, and one with a long name":  {"a,b", "", "a-b", "", false},
		"all policies and some in these namespaces": {"web", "", "web", "team=a", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			one := parse(t, c.namespaces, c.policies).Lease()
			other := parse(t, c.otherNamespaces, c.otherPolicies).Lease()
			if c.same {
				g.Expect(one).To(Equal(other))
			} else {
				g.Expect(one).NotTo(Equal(other))
			}
			for _, lease := range []string{one, other} {
				g.Expect(validation.IsDNS1123Subdomain(lease)).To(BeEmpty())
				g.Expect(lease).To(HavePrefix("ssm-remediator.io"))
			}
		})
	}
}

// TestTheLeaseStays holds the names fast: after an update to a version with others, old and new managers would both work.
func TestTheLeaseStays(t *testing.T) {
	g := NewWithT(t)
	g.Expect(parse(t, "", "").Lease()).To(Equal("ssm-remediator.io"))
	g.Expect(parse(t, "web,shop", "team in (b,a)").Lease()).To(Equal("ssm-remediator.io-mh4l6c6cme"))
}

func TestWordsOfAShard(t *testing.T) {
	g := NewWithT(t)
	g.Expect(parse(t, "", "").String()).To(Equal("everything"))
	g.Expect(parse(t, "web,shop", "team in (b,a)").String()).To(Equal("namespaces shop,web; policies team in (a,b)"))
}

func TestWhatIsNoListOfNamespaces(t *testing.T) {
	for _, list := range []string{",", "web,", ",web", "web,,shop", " ", "$(NAMESPACES)", "Web", "*", "web/shop", strings.Repeat("a", 64)} {
		t.Run(list, func(t *testing.T) {
			_, err := shard.ParseNamespaces(list)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring("is no name of a namespace")))
		})
	}
}

func TestPoliciesAreChosenByTheirLabels(t *testing.T) {
	for name, c := range map[string]struct {
		selector string
		labels   map[string]string
		has      bool
	}{
		"no selector":                    {"", nil, true},
		"no selector, some label":        {"", map[string]string{"team": "a"}, true},
		"the label":                      {"team=a", map[string]string{"team": "a", "tier": "x"}, true},
		"another value":                  {"team=a", map[string]string{"team": "b"}, false},
		"no label":                       {"team=a", nil, false},
		"not the label, for what has it": {"team!=a", map[string]string{"team": "a"}, false},
		"not the label, without one":     {"team!=a", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Labels: c.labels}}
			NewWithT(t).Expect(parse(t, "", c.selector).Has(policy)).To(Equal(c.has))
		})
	}
	_, err := shard.ParsePolicies("team=(")
	NewWithT(t).Expect(err).To(HaveOccurred())
}
