// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/hack/chaos/scaled"
	"github.com/ssm-remediator/ssm-remediator/hack/testenv"
)

// run is a row in the making.
type run struct {
	*harness
	row       *row
	result    *result
	clock     *scaled.Clock
	rng       *rand.Rand
	namespace string
	directory string

	server   *ssmlocal.Server
	recorder *recorder
	coverage *coverage
	nodes    []*simulated.Node
	// stopTicking ends what keeps the server up to date.
	stopTicking context.CancelFunc

	manager    *testenv.Daemon
	metricsURL string
	// stopping tells that the manager ends because it was told to.
	stopping atomic.Bool
	// began is when the manager was started.
	began time.Time
}

// rowTime bounds a row in real time, so that nothing hangs for ever.
const rowTime = 20 * time.Minute

// execute measures a row.
func (h *harness) execute(ctx context.Context, row *row) *result {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, rowTime, fmt.Errorf("the row did not end within %s", rowTime))
	defer cancel()
	res := &result{row: row, factor: cmp.Or(h.scale, row.factor)}
	r, err := h.newRun(ctx, row, res)
	if err == nil {
		err = r.perform(ctx)
	}
	if r != nil {
		err = errors.Join(err, r.close(context.WithoutCancel(ctx)))
	}
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	res.err, res.took = err, time.Since(began)
	return res
}

// newRun sets up all but the manager.
func (h *harness) newRun(ctx context.Context, row *row, res *result) (*run, error) {
	seed := fnv.New64a()
	_, _ = fmt.Fprint(seed, row.name)
	r := &run{
		harness: h, row: row, result: res, clock: scaled.New(res.factor), rng: rand.New(rand.NewPCG(h.seed, seed.Sum64())),
		namespace: fmt.Sprintf("bench-%d", time.Now().UnixNano()),
	}
	r.directory = filepath.Join(h.directory, r.namespace)
	if err := os.Mkdir(r.directory, 0o755); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}
	if err := h.cluster.Client.Create(ctx, namespace); err != nil {
		return nil, fmt.Errorf("creating the namespace: %w", err)
	}
	if err := r.startFleet(ctx); err != nil {
		return nil, err
	}
	return r, r.createPolicies(ctx)
}

// perform starts the manager and plays the phases of the row.
func (r *run) perform(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if err := r.startManager(); err != nil {
		return err
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-r.manager.Ended():
			if !r.stopping.Load() {
				fail(errors.New("the manager has ended; see its log"))
			}
		}
	}()
	for _, phase := range r.row.phases {
		if err := phase(ctx, r); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
	return nil
}

func (r *run) startManager() error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	r.metricsURL = "http://" + address + "/metrics"
	arguments := append([]string{"--metrics-bind-address=" + address}, r.row.arguments...)
	r.manager, err = r.cluster.StartManager(testenv.ManagerOptions{
		Directory: r.directory, Binary: r.binary, Endpoint: r.recorder.url, Region: region,
		Arguments: append(arguments, strings.Fields(r.managerArguments)...), Environment: r.clock.Environment(),
	})
	r.began = r.clock.Now()
	return err
}

func (r *run) stopManager() error {
	r.stopping.Store(true)
	return r.manager.Stop()
}

// freeAddress is one of loopback that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// sleep waits in the time of the row's clock. It is an error when ctx ends before.
func (r *run) sleep(ctx context.Context, d time.Duration) error {
	r.clock.Wait(ctx, d)
	return ctx.Err()
}

// await waits until something is so, looking every half second of real time. It is false when it is not so in time, which
// is that of the row's clock, and an error when ctx ends before. A machine that is busy with other things has two minutes of
// real time at least.
func (r *run) await(ctx context.Context, most time.Duration, is func() (bool, error)) (bool, error) {
	const interval, least = 500 * time.Millisecond, 2 * time.Minute
	deadline := r.clock.Now().Add(max(most, least*time.Duration(r.result.factor)))
	for {
		ok, err := is()
		if ok || err != nil {
			return ok, err
		}
		if r.clock.Now().After(deadline) {
			return false, nil
		}
		if err := r.sleep(ctx, interval*time.Duration(r.result.factor)); err != nil {
			return false, err
		}
	}
}

// close stops what the row has started. Nothing of it is to be seen by those that come after it.
func (r *run) close(ctx context.Context) error {
	var errs []error
	if r.manager != nil {
		errs = append(errs, r.stopManager())
	}
	if r.recorder != nil {
		r.stopTicking()
		if err := r.recorder.stop(); !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
		errs = append(errs, r.server.Close())
	}
	return errors.Join(append(errs, r.cluster.Clear(ctx, r.namespace))...)
}
