// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// The whole run is of 10,000 instances:
//
//	go test ./controllers/remediationpolicy -run TestScale -model.down=10000 -timeout=60m
var modelDown = flag.Int("model.down", 300, "instances that are down at once")

// TestScale has all instances of a policy down at once. Most need more than one attempt, and some can never be recovered. What
// that makes of Remediations, of status, of memory and of calls stays within its bounds.
func TestScale(t *testing.T) {
	const attempts = 3
	begun := time.Now()
	s := newSimulation(t, setting{seed: *modelSeed, workers: 16, pace: 5 * time.Second})
	s.oracle.sparse = max(1, *modelDown/100)
	s.addNodes("web", *modelDown)
	never := 0
	for _, m := range s.nodes {
		helpsAt := helpsAt(m.ID())
		if helpsAt > attempts {
			never++
		}
		tries := 0
		m.behaveBy(func(simulated.Effect) simulated.Step {
			tries++
			return simulated.Step{Takes: 2 * time.Second, Helps: tries >= helpsAt, Output: "starting\n"}
		})
		m.Fail(s.clock.Now())
	}
	s.create("web", v1alpha1.RemediationPolicySpec{
		Targets:  withRole("web"),
		Process:  v1alpha1.ProcessSpec{Name: "httpd"},
		Probe:    v1alpha1.ProbeSpec{PeriodSeconds: 60},
		Recovery: v1alpha1.RecoverySpec{Steps: []v1alpha1.RecoveryStep{{Command: "start", VerifySeconds: new(int32(5))}}},
		Limits: v1alpha1.LimitsSpec{
			Attempts: attempts, WindowSeconds: 86_400, MaxConcurrent: new(intstr.FromInt32(int32(max(30, *modelDown/10)))),
			MaxUnhealthy: new(intstr.FromString("100%")), StopAfterIneffective: 1000,
		},
	})
	heap := heapInUse()
	m := s.newRunner()
	peak := uint64(0)
	for range 240 {
		s.run(time.Minute)
		peak = max(peak, heapInUse())
		if s.settledAt(never) {
			break
		}
	}
	policy := s.journal.policy(s.key("web"))
	if !s.settledAt(never) {
		t.Errorf("not settled after %v: %+v", s.elapsed(), policy.Status.Blocked)
	}
	remediations, calls := len(s.oracle.attempts), s.server.Calls()
	writes := 0
	for verb, n := range s.journal.counts() {
		if verb != "patch status RemediationPolicy" && verb != "get RemediationPolicy" {
			writes += n
		}
	}
	bounds := []struct {
		what       string
		is, atMost int
	}{
		{"Remediations", s.oracle.most, attempts * *modelDown},
		{"bytes of the largest status", s.oracle.largest, largestStatus},
		{"instances in status", len(policy.Status.Instances), maxInstances},
		// The cache of what the API server answered is in it, and what the oracle notes.
		{"KB of heap", int(max(peak, heap)-heap) >> 10, 24<<10 + 12*s.oracle.most},
		{"requests to the API server for each Remediation", writes / remediations, 12},
		{"sends for each Remediation", calls["SendCommand"] / remediations, 3},
	}
	for _, b := range bounds {
		t.Logf("%s: %d of at most %d", b.what, b.is, b.atMost)
		if b.is > b.atMost {
			t.Errorf("%s: %d, which is more than %d", b.what, b.is, b.atMost)
		}
	}
	t.Logf("%d passes over the policy, %d errors, heap %d MB before and %d MB at most", m.passes, m.failures, heap>>20, peak>>20)
	s.summary(time.Since(begun))
}

// helpsAt is the attempt that helps an instance: one in five each the first and the second, half of them the third, and one
// in ten none.
func helpsAt(id string) int {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, id)
	switch n := h.Sum32() % 10; {
	case n < 2:
		return 1
	case n < 4:
		return 2
	case n < 9:
		return 3
	default:
		return 4
	}
}

// settledAt tells whether all but so many instances were recovered, and these have had their attempts.
func (s *simulation) settledAt(never int) bool {
	policy := s.journal.policy(client.ObjectKey{Namespace: s.namespace, Name: "web"})
	exhausted := 0
	for _, b := range policy.Status.Blocked {
		if b.Reason == v1alpha1.BlockedAttemptsExhausted {
			exhausted = int(b.Count)
		}
	}
	return exhausted == never && deref(policy.Status.Unhealthy) == never && len(s.oracle.running) == 0
}

// heapInUse is what is held in memory, in bytes, without what the local endpoint holds: it remembers every command with its script,
// which is Systems Manager's to bear.
func heapInUse() uint64 {
	// The profile is that of the collection before the last one.
	runtime.GC()
	runtime.GC()
	n, _ := runtime.MemProfile(nil, false)
	records := make([]runtime.MemProfileRecord, 2*n)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		panic("the heap profile has more than doubled")
	}
	inUse := 0.0
	for i := range records[:n] {
		if objects, size := float64(records[i].InUseObjects()), float64(records[i].InUseBytes()); objects > 0 && !byEndpoint(&records[i]) {
			// The profile has a sample of the allocations: one of a size is in it with this probability.
			inUse += size / (1 - math.Exp(-size/objects/float64(runtime.MemProfileRate)))
		}
	}
	return uint64(inUse)
}

// byEndpoint reports whether the local endpoint allocated it.
func byEndpoint(record *runtime.MemProfileRecord) bool {
	frames := runtime.CallersFrames(record.Stack())
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "/runcommand/ssmlocal") {
			return true
		}
		if !more {
			return false
		}
	}
}
