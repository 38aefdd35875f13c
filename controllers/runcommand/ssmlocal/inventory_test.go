// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func nodes(key string, values ...string) types.InstanceInformationStringFilter {
	return types.InstanceInformationStringFilter{Key: &key, Values: values}
}

func TestInventoryFilters(t *testing.T) {
	w := newWorld(t)
	tagged := func(tags map[string]string) func(*ssmlocal.Instance) {
		return func(i *ssmlocal.Instance) { i.Tags = tags }
	}
	w.add(nodeA, exits(0), tagged(map[string]string{"Role": "web", "Env": "prod"}))
	w.add(nodeB, exits(0), tagged(map[string]string{"Role": "db", "Env": "prod"}), connection(ssmlocal.ConnectionLost))
	w.add(nodeC, exits(0), tagged(map[string]string{"Role": "web"}), func(i *ssmlocal.Instance) { i.PlatformType = "Windows" })
	w.add("i-0000000000000000f", exits(0), connection(ssmlocal.Absent))
	type filters = []types.InstanceInformationStringFilter
	tests := map[string]struct {
		filters filters
		want    []string
	}{
		"all but the stopped one": {nil, []string{nodeA, nodeB, nodeC}},
		"ids":                     {filters{nodes("InstanceIds", nodeB, nodeC)}, []string{nodeB, nodeC}},
		"online":                  {filters{nodes("PingStatus", "Online")}, []string{nodeA, nodeC}},
		"lost":                    {filters{nodes("PingStatus", "ConnectionLost")}, []string{nodeB}},
		"ids and platform": {
			filters{nodes("InstanceIds", nodeB, nodeC), nodes("PlatformTypes", "Windows")}, []string{nodeC},
		},
		"hybrid":          {filters{nodes("ResourceType", "ManagedInstance")}, []string{nodeC}},
		"values are ORed": {filters{nodes("tag:Role", "web", "db")}, []string{nodeA, nodeB, nodeC}},
		"tags are ANDed":  {filters{nodes("tag:Role", "web"), nodes("tag:Env", "prod")}, []string{nodeA}},
		"tag key":         {filters{nodes("tag-key", "Env")}, []string{nodeA, nodeB}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			out, err := w.client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{Filters: tt.filters})
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, i := range out.InstanceInformationList {
				got = append(got, *i.InstanceId)
			}
			g.Expect(got).To(Equal(tt.want))
		})
	}

	refused := map[string]struct {
		in   ssm.DescribeInstanceInformationInput
		code string
	}{
		"tags stand alone": {ssm.DescribeInstanceInformationInput{
			Filters: filters{nodes("tag:Role", "web"), nodes("PingStatus", "Online")},
		}, "ValidationException"},
		"unknown key": {ssm.DescribeInstanceInformationInput{Filters: filters{nodes("Name", "x")}}, "InvalidFilterKey"},
		"bad id": {
			ssm.DescribeInstanceInformationInput{Filters: filters{nodes("InstanceIds", "x")}}, "ValidationException",
		},
		"small page": {ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(4)}, "ValidationException"},
		"large page": {ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(51)}, "ValidationException"},
		"token":      {ssm.DescribeInstanceInformationInput{NextToken: aws.String("x")}, "InvalidNextToken"},
	}
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := w.client.DescribeInstanceInformation(t.Context(), &tt.in)
			NewWithT(t).Expect(err).To(haveCode(tt.code, ""))
		})
	}
}

func TestPingLag(t *testing.T) {
	w := newWorld(t, func(o *ssmlocal.Options) { o.PingLag = 5 * time.Minute })
	w.add(nodeA, exits(0))
	w.add(nodeB, exits(0))
	statuses := func() (all []types.PingStatus) {
		out, err := w.client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{})
		w.Expect(err).NotTo(HaveOccurred())
		for _, i := range out.InstanceInformationList {
			all = append(all, i.PingStatus)
		}
		return all
	}
	w.clock.Step(time.Hour)
	w.server.SetConnection(nodeA, ssmlocal.ConnectionLost)
	w.server.StopAgent(nodeB, ssmlocal.ScriptsGoOn)
	w.clock.Step(5*time.Minute - time.Second)
	w.Expect(statuses()).To(HaveExactElements(types.PingStatusOnline, types.PingStatusOnline))
	w.clock.Step(time.Second)
	w.Expect(statuses()).To(HaveExactElements(types.PingStatusConnectionLost, types.PingStatusConnectionLost))
}

func TestInventoryFields(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, exits(0))
	seen := w.clock.Now()
	w.clock.Step(time.Minute)
	w.server.SetConnection(nodeA, ssmlocal.ConnectionLost)
	w.clock.Step(time.Minute)
	out, err := w.client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{})
	w.Expect(err).NotTo(HaveOccurred())
	i := out.InstanceInformationList[0]
	w.Expect(i.PlatformType).To(Equal(types.PlatformTypeLinux))
	w.Expect(i.ResourceType).To(Equal(types.ResourceTypeEc2Instance))
	w.Expect(i.PingStatus).To(Equal(types.PingStatusConnectionLost))
	w.Expect(*i.LastPingDateTime).To(BeTemporally("==", seen.Add(time.Minute)))
	w.Expect(*i.RegistrationDate).To(BeTemporally("==", seen))
	w.Expect([]string{*i.PlatformName, *i.AgentVersion, *i.IPAddress, *i.ComputerName}).To(
		Equal([]string{"Debian GNU/Linux", "3.3.0.0", "127.0.0.1", "ip-00000001.local"}))
}

func TestInventoryPaging(t *testing.T) {
	w := newWorld(t)
	w.addMany(23, exits(0))
	var sizes []int
	seen := map[string]bool{}
	pages := ssm.NewDescribeInstanceInformationPaginator(w.client, &ssm.DescribeInstanceInformationInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		w.Expect(err).NotTo(HaveOccurred())
		sizes = append(sizes, len(page.InstanceInformationList))
		for _, i := range page.InstanceInformationList {
			seen[*i.InstanceId] = true
		}
		// A node that goes away between pages does not lose the place.
		w.server.RemoveInstance("i-0000000000000000b")
	}
	w.Expect(sizes).To(Equal([]int{10, 10, 2}))
	w.Expect(seen).To(HaveLen(22))
}
