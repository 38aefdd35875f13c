// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/hack/crd"
)

// Home is the namespace of the controllers.
const Home = "ssm-remediator-system"

// Trouble lets one in eight calls of the controllers go wrong from now on, as a tape chooses.
func (s *Stage) Trouble(t *crd.Tape) {
	s.SSMFault = func(ssmlocal.Call) ssmlocal.Fault {
		if t.Below(8) < 7 {
			return ssmlocal.Fault{}
		}
		return crd.Choose(t, ssmlocal.Fault{Code: "ThrottlingException"}, ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: 500},
			ssmlocal.Fault{DropBefore: true}, ssmlocal.Fault{DropAfter: true}, ssmlocal.Fault{Code: "AccessDeniedException"},
			ssmlocal.Fault{UndeliverableRan: true}, ssmlocal.Fault{Lag: time.Minute}, ssmlocal.Fault{Code: "InvalidInstanceId"})
	}
	s.Fault = func(string, client.Object) Fault {
		if t.Below(8) < 7 {
			return NoFault
		}
		return crd.Choose(t, Refused, Conflict, AnswerLost)
	}
}

// Calm lets nothing go wrong any more.
func (s *Stage) Calm() {
	s.SSMFault, s.Fault = nil, nil
	s.KillSwitch(false)
}

// KillSwitch pulls the kill switch, or takes it back.
func (s *Stage) KillSwitch(on bool) {
	s.t.Helper()
	stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: Home, Name: v1alpha1.KillSwitch}}
	if on {
		s.must(client.IgnoreAlreadyExists(s.Hand.Create(s.ctx, stop)))
	} else {
		s.must(client.IgnoreNotFound(s.Hand.Delete(s.ctx, stop)))
	}
}

// Disturb lets something happen to a node, or changes what will happen to it.
func (s *Stage) Disturb(t *crd.Tape) {
	now, node := s.Clock.Now(), s.Fleet.Nodes()[t.Below(len(s.Fleet.Nodes()))]
	switch t.Below(7) {
	case 0:
		node.Fail(now)
	case 1:
		node.Start(now)
	case 2:
		node.SetAgent(crd.Choose(t, simulated.Answering, simulated.Mute, simulated.Silent))
	case 3:
		s.SSM.SetConnection(node.ID(), crd.Choose(t, ssmlocal.Online, ssmlocal.Absent, ssmlocal.ConnectionLost, ssmlocal.Undeliverable))
	case 4:
		node.SetStep(simulated.Step{
			Takes: time.Duration(t.Below(200)) * time.Second, Exit: crd.Choose(t, 0, 1, 137), Output: crd.Choose(t, "", "é日🔥\x1b[2J\n"),
			Helps: t.Coin(), Fate: crd.Choose(t, simulated.Ends, simulated.KillsScript, simulated.CrashesNode),
		})
	case 5:
		node.Tell(crd.Choose(t, simulated.Verdict{Health: v1alpha1.HealthHeld, Reason: process.ReasonHoldFile},
			simulated.Verdict{Health: v1alpha1.HealthUnknown, Reason: process.ReasonMissingTool},
			simulated.Verdict{Health: v1alpha1.HealthHealthy, Reason: process.ReasonProcessRunning}))
	case 6:
		node.Untell()
	}
}
