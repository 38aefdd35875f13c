// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// stepRows are about steps that need several commands: documents, which cannot look before they act, and reboots, which
// cannot tell how it went.
func stepRows() []*row {
	broken := ssmError(http.StatusInternalServerError, "InternalServerError", "an internal error")
	var rows []*row
	for _, of := range []struct {
		name    string
		step    v1alpha1.RecoveryStep
		prepare func(*run)
		sends   []string
	}{
		{documents, v1alpha1.RecoveryStep{Document: &v1alpha1.DocumentStep{Name: document}, VerifySeconds: new(int32(20))},
			addDocument, []string{kindCheck, kindSend, kindVerify}},
		{reboot, v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}, VerifySeconds: new(int32(120))},
			setBoot, []string{kindSend, kindVerify}},
	} {
		of.sends = append(of.sends, kindIntent, kindRecord)
		like := row{policy: only(of.step), prepare: of.prepare}
		add := func(r row) {
			r.point, r.policy, r.prepare = of.name+r.point, like.policy, like.prepare
			rows = append(rows, &r)
		}
		for _, point := range of.sends {
			rows = append(rows, crashes(of.name, point, like)...)
		}
		add(row{point: kindSend, fault: "connection lost, nothing done",
			script: sometimes(0.5, []string{kindSend}, always(treatment{lose: loseCall}))})
		add(row{point: kindSend, fault: "error 500, carried out",
			script: sometimes(0.5, []string{kindSend}, always(treatment{answer: broken, carriedOut: true}))})
		add(row{point: "agents", fault: "take commands and never answer", meddle: mute})
	}
	// A document that does not end in its time is cancelled.
	return append(rows, crashes(documents, kindCancel, row{prepare: addHangingDocument, policy: only(v1alpha1.RecoveryStep{
		Document: &v1alpha1.DocumentStep{Name: document}, TimeoutSeconds: new(int32(15)), VerifySeconds: new(int32(20)),
	})})...)
}

// only makes a step the only one of the ladder.
func only(step v1alpha1.RecoveryStep) func(*v1alpha1.RemediationPolicySpec) {
	return func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.Steps = []v1alpha1.RecoveryStep{step} }
}

// document is the name of a document that somebody has written.
const document = "RestartTheService"

func addDocument(r *run) {
	err := r.server.AddDocument(ssmlocal.Document{Name: document, Versions: []ssmlocal.DocumentVersion{{
		Steps: []ssmlocal.Step{{Name: "restart", Script: secondStep}},
	}}})
	if err != nil {
		// It is the same document each time.
		panic(err)
	}
}

// addHangingDocument has the document help, and then never end by itself.
func addHangingDocument(r *run) {
	addDocument(r)
	for _, node := range r.nodes {
		node.SetStep(simulated.Step{Takes: time.Hour, HelpsAfter: 5 * time.Second, Helps: true})
	}
}

// setBoot makes nodes reboot quickly. The boot starts the process.
func setBoot(r *run) {
	for _, node := range r.nodes {
		node.SetBoot(simulated.Boot{Takes: 20 * time.Second, Starts: true, After: 5 * time.Second})
	}
}
