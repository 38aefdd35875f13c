// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediationpolicy

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// faults are what goes wrong with calls, each in so many of a thousand.
type faults struct {
	// throttled and failed are calls of SSM that are refused, unsent ones whose connection is closed before, and lost ones
	// whose answer does not arrive.
	throttled, failed, unsent, lost int
	// ranAnyway are recoveries that end as Undeliverable and run.
	ranAnyway int
	// lag is how long after its send a command cannot be read.
	lag time.Duration
	// apiRefused and apiLost are writes to the API server.
	apiRefused, apiLost int
}

// background is what is always wrong, with the sends of recoveries and the writes: a probe that fails is a period in which
// nothing is known of its instances.
var background = faults{unsent: 1, lost: 3, ranAnyway: 3, apiRefused: 2, apiLost: 2}

// bad tells whether so much is wrong that what is known of the nodes may be late.
func (f faults) bad() bool { return f != (faults{}) && f != background }

// chance decides by the seed, the time, and what it is about: the order of calls at the same moment is not the same in each
// run.
func (s *simulation) chance(perMille int, about ...any) bool {
	if perMille == 0 {
		return false
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, s.seed, s.clock.Now().UnixNano(), about)
	// The last bits of this hash are not random enough.
	return int((h.Sum64()>>20)%1000) < perMille
}

// faultlessly does something while nothing is wrong.
func (s *simulation) faultlessly(do func()) {
	before := s.faults
	s.faults = faults{}
	do()
	s.faults = before
}

// ssmFault is what goes wrong with a call of SSM. The oracle learns of every send here.
func (s *simulation) ssmFault(c ssmlocal.Call) ssmlocal.Fault {
	sending := c.Operation == "SendCommand"
	if sending {
		s.oracle.sending(c)
	}
	probing := strings.HasPrefix(c.Comment, "probe/")
	if !s.faults.bad() && (!sending || probing) {
		return ssmlocal.Fault{}
	}
	about := []any{c.Operation, c.InstanceID}
	if len(c.InstanceIDs) > 0 {
		// The rest of the comment is another one in each run.
		about = append(about, c.InstanceIDs[0], strings.HasSuffix(c.Comment, "/Run"), probing)
	}
	switch {
	case s.chance(s.faults.throttled, "throttled", about):
		return ssmlocal.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
	case s.chance(s.faults.failed, "failed", about):
		return ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: http.StatusInternalServerError}
	}
	return ssmlocal.Fault{
		DropBefore:       s.chance(s.faults.unsent, "unsent", about),
		DropAfter:        s.chance(s.faults.lost, "lost", about),
		UndeliverableRan: sending && !probing && s.chance(s.faults.ranAnyway, "ranAnyway", about),
		Lag:              s.faults.lag,
	}
}

// apiFault is what goes wrong with a write of a replica.
func (s *simulation) apiFault(verb string, o client.Object) apiFault {
	about := []any{verb, kindOf(o), o.GetName()}
	if r, ok := o.(*v1alpha1.Remediation); ok {
		about = []any{verb, r.Spec.PolicyRef.Name, r.Spec.InstanceID, r.Spec.Sequence}
	}
	switch {
	case s.chance(s.faults.apiRefused, "refused", about):
		return apiRefuses
	case s.chance(s.faults.apiLost, "lost", about):
		return apiAnswerLost
	default:
		return noAPIFault
	}
}
