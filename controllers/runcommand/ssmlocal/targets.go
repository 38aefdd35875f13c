// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"slices"
	"strings"
)

// targets finds the instances of a command, ordered by id.
func (s *Server) targets(r *sendCommandRequest) ([]*instance, error) {
	if len(r.InstanceIds) > 0 {
		return s.named(r.InstanceIds)
	}
	for _, t := range r.Targets {
		if !strings.HasPrefix(t.Key, "tag:") && t.Key != "tag-key" && t.Key != "InstanceIds" &&
			!strings.HasPrefix(t.Key, "resource-groups:") {
			return nil, errorf("ValidationException", "Target key %s is not supported.", t.Key)
		}
	}
	var found []*instance
	for _, id := range s.ids {
		n := s.instances[id]
		if n.Connection != Absent && n.matches(r.Targets) {
			found = append(found, n)
		}
	}
	return found, nil
}

// named finds instances by their ids, or says which of them cannot take a command. One of those fails the whole call.
func (s *Server) named(ids []string) ([]*instance, error) {
	ids = slices.Sorted(slices.Values(ids))
	var found []*instance
	var bad []string
	for i, id := range ids {
		n := s.instances[id]
		switch {
		case i > 0 && ids[i-1] == id:
			return nil, errorf("DuplicateInstanceId", "Instance id %s was given more than once.", id)
		case n == nil || n.Connection == Absent:
			bad = append(bad, id)
		case n.PlatformType != "Linux":
			return nil, errorf("UnsupportedPlatformType", "The document does not support the platform of %s.", id)
		default:
			found = append(found, n)
		}
	}
	if len(bad) > 0 {
		return nil, errorf("InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s",
			strings.Join(bad, ", "), s.account)
	}
	return found, nil
}

// matches says whether a node has one of the values of every key. No node is in a resource group.
func (n *instance) matches(targets []target) bool {
	for _, t := range targets {
		if !n.matchesOne(t.Key, t.Values) {
			return false
		}
	}
	return true
}

func (n *instance) matchesOne(key string, values []string) bool {
	switch {
	case key == "InstanceIds":
		return slices.Contains(values, n.ID)
	case key == "tag-key":
		return slices.ContainsFunc(values, func(k string) bool { _, has := n.Tags[k]; return has })
	case strings.HasPrefix(key, "tag:"):
		value, has := n.Tags[strings.TrimPrefix(key, "tag:")]
		return has && slices.Contains(values, value)
	default:
		return false
	}
}
