// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// TestDo makes the same calls without a connection, also those that go wrong.
func TestDo(t *testing.T) {
	g, server := NewWithT(t), ssmlocal.New(ssmlocal.Options{})
	g.Expect(server.AddInstance(ssmlocal.Instance{ID: nodeA, Runner: ssmlocal.Scripted(ssmlocal.Healthy)})).To(Succeed())
	client := ssm.New(ssm.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String("http://ssm.local"), Credentials: credentials, HTTPClient: server,
		Retryer: aws.NopRetryer{},
	})
	send := &ssm.SendCommandInput{
		InstanceIds: []string{nodeA}, DocumentName: aws.String(ssmlocal.RunShellScript), Parameters: map[string][]string{"commands": {"true"}},
	}
	sent, err := client.SendCommand(t.Context(), send)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(aws.ToString(sent.Command.DocumentName)).To(Equal(ssmlocal.RunShellScript))

	for name, tc := range map[string]struct {
		fault ssmlocal.Fault
		want  OmegaMatcher
		ran   int
	}{
		"refused":        {ssmlocal.Fault{Code: "AccessDeniedException"}, haveCode("AccessDeniedException", ""), 0},
		"dropped before": {ssmlocal.Fault{DropBefore: true}, MatchError(ContainSubstring("the connection was closed")), 0},
		"dropped after":  {ssmlocal.Fault{DropAfter: true}, MatchError(ContainSubstring("the connection was closed")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			g, ran := NewWithT(t), len(server.Ledger())
			server.SetFaults(func(ssmlocal.Call) ssmlocal.Fault { return tc.fault })
			_, err := client.SendCommand(t.Context(), send)
			g.Expect(err).To(tc.want)
			g.Expect(server.Ledger()).To(HaveLen(ran + tc.ran))
		})
	}
}
