// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// parse reads flags as main does.
func parse(args ...string) (options, error) {
	var o options
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.bind(flags)
	return o, flags.Parse(args)
}

func TestWithoutFlagsAManagerIsResponsibleForEverything(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("POD_NAMESPACE", "here")
	o, err := parse()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(o.namespace).To(Equal("here"))
	g.Expect(o.shard.String()).To(Equal("everything"))
	g.Expect(o.leaseDuration).To(BeNumerically(">", o.renewDeadline), "a leader ends before another one begins")
	g.Expect(o.renewDeadline).To(BeNumerically(">", 2*o.retryPeriod), "one lost renewal is no reason to end")

	same, err := parse("--watch-namespaces=", "--policy-selector=")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(same).To(Equal(o))
}

func TestFlagsSayWhatAManagerIsResponsibleFor(t *testing.T) {
	g := NewWithT(t)
	o, err := parse("--namespace=here", "--watch-namespaces=web,shop", "--policy-selector=team in (a,b)", "--leader-elect",
		"--leader-elect-lease-duration=30s")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(o.shard.Namespaces).To(Equal([]string{"shop", "web"}))
	g.Expect(o.shard.String()).To(Equal("namespaces shop,web; policies team in (a,b)"))
	g.Expect(o.leaderElect).To(BeTrue())
	g.Expect(o.leaseDuration).To(Equal(30 * time.Second))
}

func TestFlagsThatSayNothingSensibleAreRefused(t *testing.T) {
	for _, arg := range []string{
		"--watch-namespaces=web,", "--watch-namespaces=$(NAMESPACES)", "--policy-selector=team=(", "--policy-selector=a b",
	} {
		_, err := parse(arg)
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("invalid value")), arg)
	}
}
