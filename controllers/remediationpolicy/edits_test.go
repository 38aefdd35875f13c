// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
)

// TestOnlyTheLastSpecMatters edits policies again and again. What is told in the end is what is told of a policy that was created with
// the last spec, and with the first spec again it is what was told of that. Nothing is down in that time: what was done about an
// incident stays on the record, whatever the spec says later.
func TestOnlyTheLastSpecMatters(t *testing.T) {
	for n, data := range crd.Tapes(t, 25, 4000) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tape, l := crd.Tape(data), quietLife(t)
			specs := make([]v1alpha1.RemediationPolicySpec, 5)
			for i := range specs {
				specs[i] = tape.Policy(l.Clock.Now()).Spec
				if tape.Below(4) > 0 {
					plain(&tape, &specs[i])
				}
			}
			first := l.toldOf(specs[0])
			for _, spec := range specs[1:] {
				l.apply(spec)
				for range tape.Below(20) {
					l.Step(stillTime)
				}
			}
			last := l.toldOf(specs[len(specs)-1])
			l.Expect(quietLife(t).toldOf(specs[len(specs)-1])).To(Equal(last), "applied afresh")
			l.Expect(l.toldOf(specs[0])).To(Equal(first), "the first one again")
		})
	}
}

// quietLife has one node that is Held, and two that are healthy.
func quietLife(t *testing.T) *life {
	l := newLife(t, inMemory(t, "web"), "web")
	l.Fleet.Nodes()[1].Hold(process.ReasonHoldFile)
	return l
}

// toldOf is what the status tells of a policy when it has come to rest with a spec, without times.
func (l *life) toldOf(spec v1alpha1.RemediationPolicySpec) map[string]string {
	l.apply(spec)
	l.Run(stillTime, stillSteps)
	l.told()
	status, told := l.policy().Status, map[string]string{}
	for _, c := range status.Conditions {
		told[c.Type] = fmt.Sprintf("%s/%s", c.Status, c.Reason)
	}
	for name, count := range map[string]*int32{
		"targets": status.Targets, "healthy": status.Healthy, "unhealthy": status.Unhealthy, "held": status.Held, "unknown": status.Unknown,
	} {
		told[name] = fmt.Sprint(deref(count))
	}
	for _, i := range status.Instances {
		told[string(i.InstanceID)] = fmt.Sprint(i.Health, "/", i.Reason)
	}
	told["summary"], told["region"], told["breaker"] = fmt.Sprint(status.Summary), status.Region, fmt.Sprint(status.Breaker)
	return told
}
