// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"fmt"
	"slices"
	"strings"
)

const (
	minInventoryPage     = 5
	maxInventoryPage     = 50
	defaultInventoryPage = 10
)

type describeRequest struct {
	Filters    []target
	MaxResults *int
	NextToken  string
}

type describeAnswer struct {
	InstanceInformationList []wireInstance
	NextToken               string
}

// wireInstance is a node as the inventory has it.
type wireInstance struct {
	InstanceID       string `json:"InstanceId"`
	PingStatus       string
	LastPingDateTime timestamp
	AgentVersion     string
	IsLatestVersion  bool
	PlatformType     string
	PlatformName     string
	PlatformVersion  string
	ResourceType     string
	IPAddress        string
	ComputerName     string
	RegistrationDate timestamp
	Name             string
	IamRole          string
	ActivationID     string `json:"ActivationId"`
}

// inventoryKeys are the filters besides tags.
var inventoryKeys = []string{"InstanceIds", "PingStatus", "PlatformTypes", "ResourceType", "AgentVersion"}

// describeInstanceInformation lists the nodes that Systems Manager knows, ordered by id. Stopped and terminated ones are
// not among them.
func (s *Server) describeInstanceInformation(r *describeRequest, _ Fault) (any, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	first := 0
	if r.NextToken != "" {
		if !instanceID.MatchString(r.NextToken) {
			return nil, errorf("InvalidNextToken", "The specified token isn't valid.")
		}
		first, _ = slices.BinarySearch(s.ids, r.NextToken)
	}
	limit := pageSize(r.MaxResults, defaultInventoryPage)
	answer := describeAnswer{InstanceInformationList: []wireInstance{}}
	for _, id := range s.ids[first:] {
		n := s.instances[id]
		if n.Connection == Absent || !s.described(n, r.Filters) {
			continue
		}
		if len(answer.InstanceInformationList) == limit {
			answer.NextToken = id
			break
		}
		answer.InstanceInformationList = append(answer.InstanceInformationList, s.describe(n))
	}
	return answer, nil
}

func (r *describeRequest) validate() error {
	var v violations
	v.between("maxResults", r.MaxResults, minInventoryPage, maxInventoryPage)
	tags := 0
	for _, f := range r.Filters {
		v.length("filters.key", f.Key, 1, 200)
		size(&v, "filters.values", f.Values, 1, 100)
		if isTag(f.Key) {
			tags++
		} else if !slices.Contains(inventoryKeys, f.Key) {
			return errorf("InvalidFilterKey", "The filter key %s isn't valid.", f.Key)
		}
		if f.Key == "InstanceIds" {
			for _, id := range f.Values {
				v.instance("filters.values", id)
			}
		}
	}
	if tags > 0 && tags < len(r.Filters) {
		return errorf("ValidationException", "Tag filters cannot be combined with other filters.")
	}
	return v.err()
}

func isTag(key string) bool {
	return strings.HasPrefix(key, "tag:") || key == "tag-key"
}

// described says whether a node has one of the values of every filter.
func (s *Server) described(n *instance, filters []target) bool {
	for _, f := range filters {
		if isTag(f.Key) || f.Key == "InstanceIds" {
			if !n.matchesOne(f.Key, f.Values) {
				return false
			}
			continue
		}
		value := map[string]string{
			"PingStatus":    s.pingStatus(n),
			"PlatformTypes": n.PlatformType,
			"ResourceType":  n.resourceType(),
			"AgentVersion":  n.AgentVersion,
		}[f.Key]
		if !slices.Contains(f.Values, value) {
			return false
		}
	}
	return true
}

func (s *Server) pingStatus(n *instance) string {
	gone := n.stopped || n.Connection == ConnectionLost
	if gone && s.now.Sub(n.lastPing) >= s.pingLag {
		return "ConnectionLost"
	}
	return "Online"
}

func (n *instance) resourceType() string {
	if strings.HasPrefix(n.ID, "mi-") {
		return "ManagedInstance"
	}
	return "EC2Instance"
}

func (s *Server) describe(n *instance) wireInstance {
	ping := n.lastPing
	if n.answers() {
		ping = s.now
	}
	return wireInstance{
		InstanceID:       n.ID,
		PingStatus:       s.pingStatus(n),
		LastPingDateTime: timestamp(ping),
		AgentVersion:     n.AgentVersion,
		IsLatestVersion:  true,
		PlatformType:     n.PlatformType,
		PlatformName:     n.PlatformName,
		PlatformVersion:  "12",
		ResourceType:     n.resourceType(),
		IPAddress:        n.IPAddress,
		ComputerName:     n.ComputerName,
		RegistrationDate: timestamp(n.registered),
		Name:             n.ComputerName,
		IamRole:          fmt.Sprintf("arn:aws:iam::%s:role/node", s.account),
	}
}
