// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func (b *bubble) send(ctx context.Context) error {
	send := ShellScript("true", 10*time.Second)
	send.InstanceIDs = []string{id(0)}
	_, err := b.region.Send(ctx, send)
	return err
}

// fail answers the first so many calls with a fault.
func (b *bubble) fail(times int, fault ssmlocal.Fault) {
	b.server.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if c.Number <= times {
			return fault
		}
		return ssmlocal.Fault{}
	})
}

var (
	throttles = ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
	breaks    = ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: 500}
	refuses   = ssmlocal.Fault{Code: "AccessDeniedException"}
)

func TestReadsAreTriedAgainWithinTheBudget(t *testing.T) {
	for name, test := range map[string]struct {
		times     int
		fault     ssmlocal.Fault
		wantCalls int
		wantClass Class
	}{
		"throttled once":      {times: 1, fault: throttles, wantCalls: 2},
		"throttled too often": {times: 9, fault: throttles, wantCalls: 3, wantClass: Throttled},
		"an error twice":      {times: 2, fault: breaks, wantCalls: 3},
		"an outage":           {times: 9, fault: breaks, wantCalls: 3, wantClass: Unavailable},
		"refused":             {times: 1, fault: refuses, wantCalls: 1, wantClass: Denied},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(b *bubble) {
				b.fail(test.times, test.fault)
				began := b.clock.Now()
				_, err := whole(b.region.Commands(b.t.Context(), CommandFilter{}))
				if failed := test.times >= test.wantCalls; failed {
					b.Expect(err).To(HaveOccurred())
					b.Expect(Classify(err)).To(Equal(test.wantClass))
				} else {
					b.Expect(err).NotTo(HaveOccurred())
				}
				b.Expect(b.direct.calls()).To(Equal(test.wantCalls), "the SDK adds none")
				b.Expect(b.clock.Since(began)).To(BeNumerically(">=", time.Duration(test.wantCalls-1)*time.Second), "each is a call of the budget")
			})
		})
	}
}

func TestAServiceThatDoesNotAnswerIsAskedOnce(t *testing.T) {
	inBubble(t, 0, func(b *bubble) {
		b.fail(9, ssmlocal.Fault{Delay: time.Hour})
		began := b.clock.Now()
		_, err := whole(b.region.Commands(b.t.Context(), CommandFilter{}))
		b.Expect(Words(err)).To(Equal("no answer in time"))
		b.Expect(b.direct.calls()).To(Equal(1))
		b.Expect(b.clock.Since(began)).To(Equal(callTimeout))
	})
}

func TestASendIsNotTriedAgain(t *testing.T) {
	for _, fault := range []ssmlocal.Fault{throttles, breaks} {
		inBubble(t, 10, func(b *bubble) {
			b.fail(1, fault)
			b.Expect(b.send(b.t.Context())).NotTo(Succeed())
			b.Expect(b.direct.calls()).To(Equal(1))
			b.Expect(b.server.Ledger()).To(BeEmpty())
		})
	}
}

func TestWaitingForTheBudgetIsNoTimeOfACall(t *testing.T) {
	inBubble(t, 0.02, func(b *bubble) {
		b.Expect(b.send(b.t.Context())).To(Succeed())
		began := b.clock.Now()
		b.Expect(b.send(b.t.Context())).To(Succeed())
		_, err := b.region.Nodes(b.t.Context(), NodeFilter{InstanceIDs: []string{id(0)}})
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(b.clock.Since(began)).To(Equal(100 * time.Second))
	})
}

func TestASendThatGivesUpInTheQueueWasNotMade(t *testing.T) {
	inBubble(t, 0.02, func(b *bubble) {
		b.Expect(b.send(b.t.Context())).To(Succeed())
		ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
		defer cancel()
		err := b.send(ctx)
		b.Expect(MayBeAccepted(err)).To(BeFalse())
		b.Expect(Classify(err)).To(Equal(Throttled))
		b.Expect(b.direct.calls()).To(Equal(1))
	})
}

func TestEachPageIsACall(t *testing.T) {
	inBubble(t, 1, func(b *bubble) {
		for n := 1; n < 120; n++ {
			b.Expect(b.server.AddInstance(ssmlocal.Instance{
				ID: id(n), Tags: map[string]string{"Role": "web"}, Runner: ssmlocal.Scripted(ssmlocal.Healthy),
			})).To(Succeed())
		}
		began := b.clock.Now()
		nodes, err := b.region.Nodes(b.t.Context(), NodeFilter{Tags: []Tag{{Key: "Role", Values: []string{"web"}}}})
		b.Expect(err).NotTo(HaveOccurred())
		b.Expect(nodes).To(HaveLen(120))
		b.Expect(b.clock.Since(began)).To(Equal(2 * time.Second))
		b.Expect(b.meter.calls).To(Equal(map[string]int{"eu-central-1 DescribeInstanceInformation ok": 3}))
	})
}

// endless is an API whose inventory goes on and on.
type endless struct {
	API
	pages int
}

func (e *endless) DescribeInstanceInformation(
	context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options),
) (*ssm.DescribeInstanceInformationOutput, error) {
	e.pages++
	return &ssm.DescribeInstanceInformationOutput{
		InstanceInformationList: []types.InstanceInformation{{InstanceId: new(id(e.pages))}}, NextToken: new(fmt.Sprint(e.pages)),
	}, nil
}

func TestAnEndlessInventoryIsGivenUp(t *testing.T) {
	g, api := NewWithT(t), &endless{}
	_, err := NewService(api, nil).Nodes(t.Context(), NodeFilter{})
	g.Expect(err).To(MatchError("describing instance information: no end after 4000 pages"))
	g.Expect(api.pages).To(Equal(maxInventoryPages))
}
