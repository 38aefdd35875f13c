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
		{"document: ", v1alpha1.RecoveryStep{Document: &v1alpha1.DocumentStep{Name: document}, VerifySeconds: new(int32(20))},
			addDocument, []string{kindCheck, kindSend, kindVerify}},
		{"reboot: ", v1alpha1.RecoveryStep{Reboot: &v1alpha1.RebootStep{}, VerifySeconds: new(int32(120))},
			setBoot, []string{kindSend, kindVerify}},
	} {
		of.sends = append(of.sends, kindIntent, kindRecord)
		policy := func(s *v1alpha1.RemediationPolicySpec) { s.Recovery.Steps = []v1alpha1.RecoveryStep{of.step} }
		add := func(r row) {
			r.point, r.policy, r.prepare = of.name+r.point, policy, of.prepare
			rows = append(rows, &r)
		}
		for _, point := range of.sends {
			for _, before := range []bool{true, false} {
				add(row{point: whenOf(before) + point, fault: sigkill, bounded: point == kindSend && !before,
					script: strike(point, kills, killing(before))})
				add(row{point: whenOf(before) + point, fault: sigstop, replicas: 2,
					script: strike(point, freezes, freezing(before))})
			}
		}
		add(row{point: kindSend, fault: "connection lost, nothing done",
			script: sometimes(0.5, []string{kindSend}, always(treatment{lose: loseCall}))})
		add(row{point: kindSend, fault: "error 500, carried out",
			script: sometimes(0.5, []string{kindSend}, always(treatment{answer: broken, carriedOut: true}))})
		add(row{point: "agents", fault: "take commands and never answer", meddle: mute})
	}
	return append(rows, cancelRows()...)
}

// cancelRows are about documents that do not end in their time, and are cancelled.
func cancelRows() []*row {
	var rows []*row
	for _, before := range []bool{true, false} {
		row := row{
			point: "document: " + whenOf(before) + kindCancel, fault: sigkill, bounded: !before, prepare: addHangingDocument,
			policy: func(s *v1alpha1.RemediationPolicySpec) {
				s.Recovery.Steps = []v1alpha1.RecoveryStep{{
					Document: &v1alpha1.DocumentStep{Name: document}, TimeoutSeconds: new(int32(15)), VerifySeconds: new(int32(20)),
				}}
			},
			script: strike(kindCancel, kills, killing(before)),
		}
		frozen := row
		frozen.fault, frozen.bounded, frozen.replicas, frozen.script = sigstop, false, 2, strike(kindCancel, freezes, freezing(before))
		rows = append(rows, &row, &frozen)
	}
	return rows
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
		node.OnStep(func(simulated.Effect) simulated.Step {
			return simulated.Step{Takes: time.Hour, HelpsAfter: 5 * time.Second, Helps: true}
		})
	}
}

// setBoot makes nodes reboot quickly. The boot starts the process.
func setBoot(r *run) {
	for _, node := range r.nodes {
		node.SetBoot(simulated.Boot{Takes: 20 * time.Second, Starts: true, After: 5 * time.Second})
	}
}
