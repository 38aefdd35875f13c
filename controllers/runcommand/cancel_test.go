// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func TestCancelEndsWhatRuns(t *testing.T) {
	w := newWorld(t, 2)
	w.addDocument()
	w.outcome = func(ssmlocal.Execution) ssmlocal.Outcome { return ssmlocal.Outcome{Delay: time.Minute} }
	both, document := w.send("both", 2), w.restart()

	w.Expect(w.region.Cancel(t.Context(), both.ID, id(1))).To(Succeed())
	w.Expect(w.region.Cancel(t.Context(), document.ID, id(0))).To(Succeed())
	other, err := w.region.Result(t.Context(), both.ID, id(0))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(other.Status).To(Equal(StatusInProgress), "only one node was meant")
	one, err := w.region.Result(t.Context(), both.ID, id(1))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(one.Status).To(Equal(StatusCancelled))
	invocations, err := whole(w.region.Invocations(t.Context(), InvocationFilter{CommandID: document.ID}))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(invocations[0].Status).To(Equal(StatusCancelled))
	w.Expect(invocations[0].ResponseCode).To(Equal(137))
}

func TestCancelOfWhatHasEndedChangesNothing(t *testing.T) {
	w := newWorld(t, 1)
	sent := w.send("a", 1)
	w.Expect(w.region.Cancel(t.Context(), sent.ID, id(0))).To(Succeed())
	result, err := w.region.Result(t.Context(), sent.ID, id(0))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(result.Status).To(Equal(StatusSuccess))
}

func TestErrorsOfACancel(t *testing.T) {
	w := newWorld(t, 1)
	err := w.region.Cancel(t.Context(), "00000000-0000-0000-0000-000000000000", id(0))
	w.Expect(Classify(err)).To(Equal(NotYet))
	sent := w.send("a", 1)
	w.server.SetFaults(func(ssmlocal.Call) ssmlocal.Fault {
		return ssmlocal.Fault{Code: "AccessDeniedException", Message: "no"}
	})
	err = w.region.Cancel(t.Context(), sent.ID, id(0))
	w.Expect(Classify(err)).To(Equal(Denied))
}
