// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package shard says what one manager is responsible for, where several of them share the work.
//
// They split it by namespace: what lies in other namespaces a manager neither reads nor writes. Within a namespace they can
// split the policies by their labels. That chooses what a manager acts on and never what it sees: the limits of a policy count
// all Remediations of its name, whoever has opened them.
//
// Two managers that are responsible for the same contend for one lease, and one of them works. Two whose shards overlap by
// mistake both work on what they have in common, as a leader does that was paused beside its successor: that costs probes and
// conflicts, and no second execution.
package shard

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// lease is the name of the lease of a manager that is responsible for everything, and the beginning of all others.
const lease = "ssm-remediator.io"

// Shard is what a manager is responsible for. The zero value is everything.
type Shard struct {
	// Namespaces are those whose policies and Remediations it looks after, sorted; empty for all.
	Namespaces []string
	// Policies chooses among the policies in them, by their labels; nil chooses all.
	Policies labels.Selector
}

// ParseNamespaces reads a comma separated list of namespaces. An empty one stands for all namespaces, but an empty item in it,
// as a template leaves behind whose value is missing, does not.
func ParseNamespaces(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	namespaces := strings.Split(list, ",")
	for i, namespace := range namespaces {
		namespaces[i] = strings.TrimSpace(namespace)
		if wrong := validation.IsDNS1123Label(namespaces[i]); len(wrong) > 0 {
			return nil, fmt.Errorf("%q is no name of a namespace: %s", namespaces[i], wrong[0])
		}
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces), nil
}

// ParsePolicies reads a label selector. An empty one chooses all policies.
func ParsePolicies(selector string) (labels.Selector, error) {
	policies, err := labels.Parse(selector)
	if err != nil || policies.Empty() {
		return nil, err
	}
	return policies, nil
}

// Has tells whether a policy that is seen is one to act on.
func (s Shard) Has(policy *v1alpha1.RemediationPolicy) bool {
	return s.Policies == nil || s.Policies.Matches(labels.Set(policy.Labels))
}

// String says in words what the manager is responsible for.
func (s Shard) String() string {
	var parts []string
	if len(s.Namespaces) > 0 {
		parts = append(parts, "namespaces "+strings.Join(s.Namespaces, ","))
	}
	if s.Policies != nil {
		parts = append(parts, "policies "+s.Policies.String())
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, "; ")
}

// Lease is the name of the lease that managers of this shard contend for. It follows from the shard, so that no two managers
// have to be told that they are replicas of one another, or that they are not.
func (s Shard) Lease() string {
	if len(s.Namespaces) == 0 && s.Policies == nil {
		return lease
	}
	const hashLength = 10
	sum := sha256.Sum256([]byte(s.String()))
	return lease + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:hashLength]
}
