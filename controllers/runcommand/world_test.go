// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// world is a Systems Manager of its own, with a Region on it that does nothing but when it is stepped.
type world struct {
	*WithT
	t      *testing.T
	clock  *clocktesting.FakeClock
	server *ssmlocal.Server
	region *Region
	// outcome is what every node answers.
	outcome func(ssmlocal.Execution) ssmlocal.Outcome
}

func id(n int) string { return fmt.Sprintf("i-%017x", n) }

func newWorld(t *testing.T, nodes int, options ...func(*ssmlocal.Options)) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t, clock: clocktesting.NewFakeClock(noon), outcome: ssmlocal.Healthy}
	o := ssmlocal.Options{Clock: w.clock, ReadLag: new(time.Duration(0))}
	for _, change := range options {
		change(&o)
	}
	w.server = ssmlocal.New(o)
	w.Expect(w.server.Start("")).To(Succeed())
	t.Cleanup(func() { w.Expect(w.server.Close()).To(Succeed()) })
	for n := range nodes {
		w.Expect(w.server.AddInstance(ssmlocal.Instance{
			ID: id(n), Tags: map[string]string{"Role": "web"},
			Runner: ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome { return w.outcome(e) }),
		})).To(Succeed())
	}
	regions := NewRegions(aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(w.server.URL()),
		Credentials:      credentials.NewStaticCredentialsProvider("id", "secret", ""),
		RetryMaxAttempts: 1,
	}, w.clock, BudgetOptions{})
	_, err := regions.Locate("")
	w.Expect(err).To(MatchError(&LocatingError{}))
	w.Expect(regions.FindAccount(t.Context(), "eu-central-1")).To(Succeed())
	location, err := regions.Locate("")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(location).To(Equal(Location{Account: "123456789012", Region: "eu-central-1"}))
	w.region = regions.Get(location)
	w.server.ResetCalls()
	return w
}

// whole reads a list to its end.
func whole[T any](list iter.Seq2[T, error]) ([]T, error) {
	var items []T
	for item, err := range list {
		if err != nil {
			return items, err
		}
		items = append(items, item)
	}
	return items, nil
}

// send sends a script to the first so many nodes.
func (w *world) send(comment string, nodes int) Command {
	w.t.Helper()
	send := ShellScript("true", 10*time.Second)
	send.Comment = comment
	for n := range nodes {
		send.InstanceIDs = append(send.InstanceIDs, id(n))
	}
	command, err := w.region.Send(w.t.Context(), send)
	w.Expect(err).NotTo(HaveOccurred())
	return command
}
