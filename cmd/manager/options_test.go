// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"enough":          {[]string{"--namespace=n"}, ""},
		"a small budget":  {[]string{"--namespace=n", "--aws-calls-per-second=0.5"}, ""},
		"no namespace":    {nil, "say which namespace the manager runs in, by --namespace or POD_NAMESPACE"},
		"no calls at all": {[]string{"--namespace=n", "--aws-calls-per-second=0"}, "--aws-calls-per-second=0: give a number of calls greater than 0"},
		"less than none":  {[]string{"--namespace=n", "--aws-calls-per-second=-1"}, "--aws-calls-per-second=-1: give"},
		"no number":       {[]string{"--namespace=n", "--aws-calls-per-second=NaN"}, "--aws-calls-per-second=NaN: give"},
		"without a limit": {[]string{"--namespace=n", "--aws-calls-per-second=Inf"}, "--aws-calls-per-second=+Inf: give"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", "")
			var o options
			flags := flag.NewFlagSet("manager", flag.ContinueOnError)
			o.bind(flags)
			g := NewWithT(t)
			g.Expect(flags.Parse(test.arguments)).To(Succeed())
			if test.want == "" {
				g.Expect(o.validate()).To(Succeed())
			} else {
				g.Expect(o.validate()).To(MatchError(ContainSubstring(test.want)))
			}
		})
	}
}
