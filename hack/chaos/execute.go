// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// rowTime bounds a row in real time, so that nothing hangs for ever. Rows take a minute at the most.
const rowTime = 10 * time.Minute

// execute makes a row of the table.
func (h *harness) execute(ctx context.Context, row *row) *result {
	begin := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, rowTime, fmt.Errorf("the row did not end within %s", rowTime))
	defer cancel()
	res := &result{row: row}
	r, err := h.newRun(ctx, row)
	if err == nil {
		res, err = r.perform(ctx)
	}
	if r != nil {
		err = errors.Join(err, r.close(context.WithoutCancel(ctx)))
	}
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		res.violate("the run broke off: %v", err)
	}
	res.seconds = time.Since(begin).Seconds()
	if r != nil {
		res.kept = r.keep(len(res.violations) > 0)
	}
	return res
}

// keep keeps the logs of a run that went wrong, and what became of its attempts, and returns where they are. Those of others
// would only take up room.
func (r *run) keep(wanted bool) string {
	if !wanted && !r.keepLogs {
		_ = os.RemoveAll(r.directory)
		return ""
	}
	var text strings.Builder
	r.history.write(&text)
	for _, e := range r.ledger.Effects() {
		fmt.Fprintf(&text, "effect %+v\n", e)
	}
	_ = os.WriteFile(filepath.Join(r.directory, "attempts.txt"), []byte(text.String()), 0o644)
	return r.directory
}

// perform plays a run from its beginning to its end: a healthy fleet, incidents under faults, and calm until all is settled.
func (r *run) perform(ctx context.Context) (_ *result, err error) {
	res := &result{row: r.row}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	running, stopAll := context.WithCancel(ctx)
	var managers sync.WaitGroup
	defer managers.Wait()
	defer stopAll()
	for range max(r.row.replicas, 1) {
		replica, err := r.addReplica(r.row.replicas > 1)
		if err != nil {
			return res, err
		}
		managers.Go(func() {
			if err := replica.keepRunning(running); err != nil {
				fail(err)
			}
		})
	}
	for _, name := range policies {
		if err := r.client.Create(ctx, r.policy(name)); err != nil {
			return res, fmt.Errorf("creating a policy: %w", err)
		}
	}
	if open := r.settle(ctx); len(open) > 0 {
		return res, fmt.Errorf("beginning: %v", open)
	}
	if err := r.storm(ctx); err != nil {
		return res, err
	}
	open := r.settle(ctx)
	if r.row.afterwards != nil && len(open) == 0 {
		if err := r.row.afterwards(ctx, r); err != nil {
			return res, err
		}
		open = r.settle(ctx)
	}
	stopAll()
	managers.Wait()
	return r.judge(open), nil
}

// storm makes the incidents, while calls are treated as the row says and it does what it does besides.
func (r *run) storm(ctx context.Context) error {
	meddling, stop := context.WithCancel(ctx)
	var meddler sync.WaitGroup
	var err error
	r.arm(true)
	if r.row.meddle != nil {
		meddler.Go(func() { err = r.row.meddle(meddling, r) })
	}
	r.makeIncidents(ctx, r.incidentsPerRow())
	// The faults go on for as long as the last incidents take.
	r.sleep(ctx, cmp.Or(r.row.tail, stormTail))
	// On a busy machine it may take longer until the fault strikes.
	for n := 0; n < mostMore && !r.struck() && ctx.Err() == nil; n++ {
		r.makeIncidents(ctx, 1)
		r.sleep(ctx, stormTail/2)
	}
	stop()
	meddler.Wait()
	r.arm(false)
	if meddling.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// stormTail is how long the faults go on after the last incident, unless the row says something else.
const stormTail = 60 * time.Second

// mostMore is how many incidents are made more at most when the fault has not struck yet.
const mostMore = 20
