// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chaos stops the manager at every point of an incident, and lets everything go wrong around it.
//
//	                 ┌─ proxy ── kube-apiserver ── etcd
//	manager(s) ──────┤   calls are lost, refused, delayed; watches are held back
//	processes        └─ proxy ── ssmlocal ── simulated nodes ── ledger of effects
//	killed, frozen
//
// Each row of the table that it prints is a point and a fault. A run of it has a namespace and a fleet of its own; on the
// fleet processes are ended one after the other, so that incidents are in every phase when the fault strikes. Then everything
// is let go on until it has settled, and the oracles look: what was really done on the nodes, by Remediation, is what decides.
// All clocks run faster than the real one (package scaled).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	binary    string
	rows      string
	seed      uint64
	incidents int
	bounded   bool
	scale     int
	parallel  int
	keepLogs  bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "manager", "bin/manager-scaled", "The manager, built with the tag scaled.")
	flag.StringVar(&o.rows, "rows", "", "Only the rows whose \"point | fault\" matches this regular expression.")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "What random choices follow from.")
	flag.IntVar(&o.incidents, "incidents", 0, "How many incidents all rows have together; 0 for as many as are usual.")
	flag.BoolVar(&o.bounded, "bounded", false, "Only the rows that stand for their class, as in CI.")
	flag.IntVar(&o.scale, "scale", 20, "How many times faster than the real one the clock runs.")
	flag.IntVar(&o.parallel, "parallel", 4, "How many rows run at a time.")
	flag.BoolVar(&o.keepLogs, "keep-logs", false, "Keep the managers' logs of rows that went well too.")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := chaos(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// chaos makes the table and prints it. Rows that run alone come last.
func chaos(ctx context.Context, o options) (err error) {
	h, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	chosen, err := h.choose()
	if err != nil {
		return err
	}
	h.chosen = len(chosen)
	fmt.Fprintf(os.Stderr, "%d rows, seed %d, clocks run %d times faster\n", len(chosen), o.seed, o.scale)
	t := &table{}
	h.executeAll(ctx, chosen, t)
	if err := t.print(os.Stdout, h.rows); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return h.conclude(ctx, t)
}

// choose are the rows that the flags ask for.
func (h *harness) choose() ([]*row, error) {
	pattern, err := regexp.Compile(h.options.rows)
	if err != nil {
		return nil, fmt.Errorf("reading -rows: %w", err)
	}
	var chosen []*row
	for _, r := range h.rows {
		if pattern.MatchString(r.name()) && (r.bounded || !h.bounded) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("choosing rows: none matches -rows")
	}
	return chosen, nil
}

// executeAll makes the rows, several at a time where they do not disturb each other.
func (h *harness) executeAll(ctx context.Context, chosen []*row, t *table) {
	together, alone := []*row{}, []*row{}
	for _, r := range chosen {
		if r.alone {
			alone = append(alone, r)
		} else {
			together = append(together, r)
		}
	}
	slices.SortStableFunc(together, func(a, b *row) int { return rank(a) - rank(b) })
	h.executeSome(ctx, together, max(h.parallel, 1), t)
	h.executeSome(ctx, alone, 1, t)
}

// rank is smaller for rows that are to begin earlier.
func rank(r *row) int {
	if r.long {
		return 0
	}
	return 1
}

// executeSome makes rows, so many at a time.
func (h *harness) executeSome(ctx context.Context, chosen []*row, places int, t *table) {
	var workers sync.WaitGroup
	queue := make(chan *row)
	for range places {
		workers.Go(func() {
			for r := range queue {
				t.add(h.execute(ctx, r))
			}
		})
	}
	for _, r := range chosen {
		if ctx.Err() == nil {
			queue <- r
		}
	}
	close(queue)
	workers.Wait()
}

// conclude says what was violated, and how to see it again.
func (h *harness) conclude(ctx context.Context, t *table) error {
	failed := t.failed()
	for _, r := range failed {
		fmt.Fprintf(os.Stderr, "\n%s: VIOLATED (to see it again: -seed %d -rows '^%s$'; logs: %s)\n",
			r.row.name(), h.seed, regexp.QuoteMeta(r.row.name()), r.kept)
		for _, v := range r.violations[:min(len(r.violations), 12)] {
			fmt.Fprintln(os.Stderr, "  "+v)
		}
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case len(failed) > 0:
		return fmt.Errorf("%d of %d rows violate what must hold", len(failed), len(t.results))
	case h.keepLogs:
		fmt.Fprintln(os.Stderr, "The logs are in", h.directory)
		return nil
	}
	return os.RemoveAll(h.directory)
}
