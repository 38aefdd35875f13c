// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// Account is whose credentials the controllers have, and Region is their own.
const (
	Account = "123456789012"
	Region  = "eu-central-1"
)

// regions are those in which somebody reads what is in flight.
var regions = []string{Region, "us-gov-west-1"}

// Document is the one document that there is.
const Document = "Team-RestartWeb"

// Noon is when a Stage begins.
var Noon = time.Date(2026, 3, 29, 12, 0, 0, 123456789, time.UTC)

// Controllers are what plays. They are made anew by Restart.
type Controllers struct {
	// Policies and Remediations reconcile these; nil for none.
	Policies, Remediations reconcile.Reconciler
	// Background does what goes on beside passes, as far as it can without time, when it is set.
	Background func(context.Context)
}

// Stage is a small world. It is not to be used by several goroutines.
type Stage struct {
	t     testing.TB
	ctx   context.Context
	Clock *clocktesting.FakeClock
	// Hand is the API server as people write to it, and API as the controllers do: what goes wrong does so only there.
	Hand, API client.Client
	// Fault, when it is set, chooses what goes wrong with a write of the controllers.
	Fault func(verb string, o client.Object) Fault
	// SSM is the local Systems Manager. SSMFault, when it is set, chooses what goes wrong with a call; not with a Delay.
	SSM      *ssmlocal.Server
	SSMFault ssmlocal.Faults
	Fleet    *simulated.Fleet
	Events   events.EventRecorder
	// Executions are all that ran on a node, in order.
	Executions []ssmlocal.Entry

	direct      client.Client
	build       func(*Stage, *runcommand.Regions) Controllers
	controllers Controllers
	readers     []*reader
	known       map[item]seen
	// starting is set while the controllers find out their account, which always goes well.
	starting bool

	mu  sync.Mutex
	due map[item]time.Time
	// news counts what happened: writes, calls of Systems Manager, notifications. idle is how many moments in a row brought
	// passes and no news, the last one at idleTime.
	news, idle int
	idleTime   time.Time
}

// reader reads what is in flight in a region; at is when it does so next, zero while it sleeps.
type reader struct {
	region *runcommand.Region
	at     time.Time
}

// New is a Stage on an API server, with so many nodes that have the tag Role=web, and with the controllers that build makes.
func New(t testing.TB, api client.Client, nodes int, build func(*Stage, *runcommand.Regions) Controllers) *Stage {
	t.Helper()
	s := &Stage{
		t: t, ctx: logr.NewContext(t.Context(), logr.Discard()), Clock: clocktesting.NewFakeClock(Noon), Events: unheard{},
		direct: api, build: build,
		known: map[item]seen{}, due: map[item]time.Time{},
	}
	s.Hand, s.API = heard{Client: api, stage: s}, heard{Client: api, stage: s, faulty: true}
	s.SSM = ssmlocal.New(ssmlocal.Options{
		Account: Account, Region: Region, Clock: s.Clock, ReadLag: new(time.Duration(0)),
		OnExecution: func(e ssmlocal.Entry) { s.Executions = append(s.Executions, e) },
	})
	s.must(s.SSM.AddDocument(ssmlocal.Document{Name: Document, Versions: []ssmlocal.DocumentVersion{{
		Steps: []ssmlocal.Step{{Name: "restart", Script: "restart"}},
	}}}))
	s.SSM.SetFaults(func(c ssmlocal.Call) ssmlocal.Fault {
		if s.SSMFault == nil || s.starting {
			return ssmlocal.Fault{}
		}
		return s.SSMFault(c)
	})
	var err error
	s.Fleet, err = simulated.NewFleet(s.SSM, simulated.FleetOptions{
		Nodes: nodes, Tags: map[string]string{"Role": "web"}, Booted: Noon.Add(-time.Hour),
	})
	s.must(err)
	s.Restart()
	return s
}

// Restart replaces the controllers by others that know nothing. They look at everything that is there.
func (s *Stage) Restart() {
	s.t.Helper()
	config := aws.Config{
		Region: Region, BaseEndpoint: aws.String("http://ssm.local"), HTTPClient: s, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}
	all := runcommand.NewRegions(config, s.Clock, runcommand.BudgetOptions{})
	s.starting = true
	s.must(all.FindAccount(s.ctx, Region))
	s.starting = false
	s.readers = nil
	for _, region := range regions {
		s.readers = append(s.readers, &reader{region: all.Get(runcommand.Location{Account: Account, Region: region})})
	}
	s.controllers = s.build(s, all)
	for i := range s.known {
		s.enqueue(i, s.Clock.Now())
	}
}

// Do implements aws.HTTPClient.
func (s *Stage) Do(r *http.Request) (*http.Response, error) {
	s.happened()
	return s.SSM.Do(r)
}

// NotifyPolicy is how a controller is told that a policy has news.
func (s *Stage) NotifyPolicy(key types.NamespacedName) { s.notify(item{true, key}) }

// NotifyRemediation is how a controller is told that a Remediation has news.
func (s *Stage) NotifyRemediation(key types.NamespacedName) { s.notify(item{false, key}) }

func (s *Stage) notify(i item) {
	s.happened()
	s.enqueue(i, s.Clock.Now())
}

func (s *Stage) happened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news++
}

// must ends the test with an error of the stage itself.
func (s *Stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("the stage: %v", err)
	}
}

// unheard is a recorder of events that nobody reads.
type unheard struct{ events.EventRecorder }

// Eventf implements events.EventRecorder.
func (unheard) Eventf(_, _ runtime.Object, _, _, _, _ string, _ ...any) {}
