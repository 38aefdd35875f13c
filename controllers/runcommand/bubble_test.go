// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// direct is an HTTP client whose requests take no way, so that a bubble holds both ends. It remembers them.
type direct struct {
	server http.Handler
	clock  clock.PassiveClock

	mu       sync.Mutex
	requests []request
}

// request is one that came, by the name that its context gave it.
type request struct {
	at   time.Time
	name string
}

type nameKey struct{}

// named gives the requests of a context a name.
func named(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

func (d *direct) Do(r *http.Request) (*http.Response, error) {
	name, _ := r.Context().Value(nameKey{}).(string)
	d.mu.Lock()
	d.requests = append(d.requests, request{d.clock.Now(), name})
	d.mu.Unlock()
	answer := httptest.NewRecorder()
	d.server.ServeHTTP(answer, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return answer.Result(), nil
}

func (d *direct) calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.requests)
}

// bubble is a Systems Manager and a Region on it, in a bubble whose time passes when everybody waits.
type bubble struct {
	*WithT
	t      *testing.T
	clock  clock.WithTicker
	server *ssmlocal.Server
	direct *direct
	region *Region
	meter  *counts
}

func inBubble(t *testing.T, perSecond float64, test func(*bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{WithT: NewWithT(t), t: t, clock: clock.RealClock{}, meter: newCounts()}
		b.server = ssmlocal.New(ssmlocal.Options{Clock: b.clock, ReadLag: new(time.Duration(0))})
		t.Cleanup(func() { b.Expect(b.server.Close()).To(Succeed()) })
		b.Expect(b.server.AddInstance(ssmlocal.Instance{
			ID: id(0), Tags: map[string]string{"Role": "web"}, Runner: ssmlocal.Scripted(ssmlocal.Healthy),
		})).To(Succeed())
		b.direct = &direct{server: b.server, clock: b.clock}
		regions := NewRegions(aws.Config{
			Region: "eu-central-1", HTTPClient: b.direct, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		}, b.clock, BudgetOptions{PerSecond: perSecond, Meter: b.meter})
		b.region = regions.Get(Location{Account: "123456789012", Region: "eu-central-1"})
		test(b)
	})
}
