// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
)

// run is a row of the table in the making: a namespace, a Systems Manager of its own with a fleet, and managers.
type run struct {
	*harness
	row       *row
	seed      uint64
	namespace string
	directory string

	server *ssmlocal.Server
	// ssmClock is the server's, in which nodes think.
	ssmClock clock.WithTicker
	ledger   simulated.Ledger
	fleets   []*simulated.Fleet
	nodes    []*simulated.Node
	replicas []*replica
	history  *history

	mu  sync.Mutex
	rng *rand.Rand
	// armed tells that calls are treated as the row says; before and after, all pass.
	armed bool
	// calls counts the calls by kind, hits those that were tampered with, and whatever else the row did.
	calls     map[string]int
	hits      int
	incidents int
	// bans are the times in which nothing may be done.
	bans []ban
	// replayed is how many effects came of commands that were replayed an hour later.
	replayed int
}

// newRun sets up all but the managers.
func (h *harness) newRun(ctx context.Context, row *row) (*run, error) {
	seed := fnv.New64a()
	_, _ = fmt.Fprintf(seed, "%d %s", h.seed, row.name())
	r := &run{
		harness: h, row: row, seed: seed.Sum64(), namespace: fmt.Sprintf("chaos-%03d", h.number(row)),
		rng: rand.New(rand.NewPCG(h.seed, seed.Sum64())), calls: map[string]int{},
	}
	r.directory = filepath.Join(h.directory, r.namespace)
	if err := os.Mkdir(r.directory, 0o755); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	if err := h.makeNamespace(ctx, r.namespace); err != nil {
		return nil, err
	}
	if err := r.startFleet(); err != nil {
		return nil, err
	}
	r.history = follow(ctx, h.client, r.namespace)
	return r, nil
}

// addReplica adds a manager. One of several takes part in the election of a leader.
func (r *run) addReplica(elected bool) (*replica, error) {
	added := &replica{
		name: fmt.Sprintf("manager-%c", 'a'+len(r.replicas)), directory: r.directory, binary: r.binary, gates: &gates{},
		arguments: []string{
			"--metrics-bind-address=0", "--health-probe-bind-address=0", "--namespace=" + r.namespace,
			fmt.Sprintf("--leader-elect=%t", elected), "--leader-elect-lease-duration=" + leaseDuration.String(),
			"--leader-elect-renew-deadline=" + renewDeadline.String(), "--leader-elect-retry-period=" + retryPeriod.String(),
		},
		env: append(r.clock.Environment(), "AWS_REGION="+region, "AWS_EC2_METADATA_DISABLED=true",
			"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local"),
	}
	var err error
	treat := func(kind string) treatment { return r.treat(added, kind) }
	if added.kube, err = newKubeProxy(r.cluster.Config, r.namespace, treat, added.gates); err != nil {
		return nil, err
	}
	if added.ssm, err = newSSMProxy(r.server.URL(), treat); err != nil {
		return nil, err
	}
	r.replicas = append(r.replicas, added)
	return added, added.prepare()
}

// The lease is in real time. A shorter one is lost again and again on a busy machine.
const (
	leaseDuration = 3 * time.Second
	renewDeadline = 2500 * time.Millisecond
	retryPeriod   = 300 * time.Millisecond
)

// treat counts a call, and says what happens to it.
func (r *run) treat(by *replica, kind string) treatment {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[kind]++
	if !r.armed || r.row.script == nil {
		return treatment{}
	}
	t := r.row.script(r, call{by, kind, r.calls[kind]})
	if t.harms() {
		r.hits++
	}
	return t
}

// harms reports whether the treatment is anything but letting the call pass.
func (t treatment) harms() bool {
	return t.before != nil || t.after != nil || t.lose != loseNothing || t.delay != 0 || t.answer != nil
}

// arm begins or ends the treatment of calls.
func (r *run) arm(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = on
}

// hit counts something that was done to the run, outside of calls.
func (r *run) hit() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hits++
}

// struck reports whether anything was tampered with, where that is what the row is about.
func (r *run) struck() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hits > 0 || r.row.fault == noFault || r.row.afterwards != nil
}

// chance is true with a probability. The lock must be held.
func (r *run) chance(p float64) bool { return r.rng.Float64() < p }

// between is a random time.
func (r *run) between(least, most time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return least + time.Duration(r.rng.Int64N(int64(most-least)))
}

// number is a random number.
func (r *run) number(least, most int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return least + r.rng.IntN(most-least+1)
}

// sleep waits in the time of the run's clock.
func (r *run) sleep(ctx context.Context, d time.Duration) { r.clock.Wait(ctx, d) }

// close stops what the run has started.
func (r *run) close(ctx context.Context) error {
	var errs []error
	for _, replica := range r.replicas {
		errs = append(errs, replica.close())
	}
	errs = append(errs, r.server.Close())
	// Nothing of the run is to be seen by those that come after it.
	errs = append(errs, r.cluster.Clear(ctx, r.namespace))
	return errors.Join(errs...)
}

// key names a policy of the run.
func (r *run) key(policy string) client.ObjectKey {
	return client.ObjectKey{Namespace: r.namespace, Name: policy}
}
