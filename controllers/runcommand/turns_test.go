// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// letters stand for the priorities in the tests of turns.
var letters = map[byte]Priority{'R': PriorityRecovery, 'r': PriorityResults, 'c': PriorityConfirm, 'p': PriorityProbe}

func letter(p Priority) byte {
	for letter, priority := range letters {
		if priority == p {
			return letter
		}
	}
	return '?'
}

func (t *turns) joinAll(waiters string) {
	for _, l := range []byte(waiters) {
		t.join(&waiter{priority: letters[l]})
	}
}

func (t *turns) serveAll() string {
	var served strings.Builder
	for t.any() {
		served.WriteByte(letter(t.next().priority))
	}
	return served.String()
}

func TestTurns(t *testing.T) {
	for name, test := range map[string]struct{ waiting, want string }{
		"nobody":                              {"", ""},
		"in order of priority":                {"pcrR", "Rrcp"},
		"results get half, nobody starves":    {"ppppppccccccrrrrrr", "rcprrcprrcprcpcpcp"},
		"probes get a third beside results":   {"pppppprrrrrr", "rprrprrprppp"},
		"recoveries let one in four by":       {"RRRRRRRRRRrrrp", "RRRrRRRpRRRrRr"},
		"recoveries alone wait for nobody":    {"RRRRR", "RRRRR"},
		"what remains is served all the same": {"p", "p"},
	} {
		t.Run(name, func(t *testing.T) {
			var turns turns
			turns.joinAll(test.waiting)
			NewWithT(t).Expect(turns.serveAll()).To(Equal(test.want))
		})
	}
}

func TestTurnsNobodyHoardsTurnsByStayingAway(t *testing.T) {
	g := NewWithT(t)
	var turns turns
	turns.joinAll(strings.Repeat("r", 100))
	turns.serveAll()
	turns.joinAll("pppprrrrcccc")
	g.Expect(turns.serveAll()).To(Equal("cprrcprrcpcp"), "results were served last, and the others do not catch up on a hundred calls")
}

func TestTurnsALoneRecoveryWaitsForOneOtherCallAtMost(t *testing.T) {
	g := NewWithT(t)
	var turns turns
	turns.joinAll("RRRRRRRRR" + strings.Repeat("rcp", 30))
	for turns.any() {
		if len(turns.waiting[PriorityRecovery]) == 0 {
			turns.joinAll("R")
			first, second := turns.next().priority, turns.next().priority
			g.Expect([]Priority{first, second}).To(ContainElement(PriorityRecovery))
		}
		turns.next()
	}
}

func TestTurnsFirstComeFirstServed(t *testing.T) {
	g := NewWithT(t)
	var turns turns
	first, second, third := &waiter{priority: PriorityProbe}, &waiter{priority: PriorityProbe}, &waiter{priority: PriorityProbe}
	turns.join(first)
	turns.join(second)
	turns.join(third)
	g.Expect(turns.leave(second)).To(BeTrue())
	g.Expect(turns.leave(second)).To(BeFalse(), "it has left")
	g.Expect(turns.next()).To(BeIdenticalTo(first))
	g.Expect(turns.leave(first)).To(BeFalse(), "it was served")
	g.Expect(turns.next()).To(BeIdenticalTo(third))
	g.Expect(turns.next()).To(BeNil())
}
