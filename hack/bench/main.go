// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what the manager costs, and how fast it is.
//
//	manager ────── kube-apiserver ── etcd     its CPU time and memory are read from /proc
//	  process │
//	          └─── recorder ── ssmlocal ── simulated nodes     within this process
//	naive loop ──┘     every call with its time
//	  process
//
// Each row is a fleet and what happens to it: a namespace, an endpoint and a manager of its own, one row after the other, so
// that no row pays for another one. The manager is seen from outside only. All clocks run faster than the real one (package
// scaled); how much faster is chosen for each row so that the machine keeps up, and what is told of time is told on that
// clock. CPU time is told by the minute of that clock, which is what a manager on the real clock needs in a real minute.
//
// The naive loop is what ssm-remediator is compared with: a process that sends each instance a command of its own, and asks
// for its result until it is there. It runs against the same endpoint and nodes, after the manager has stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	binary    string
	arguments string
	rows      string
	seed      uint64
	bounded   bool
	scale     int
	report    string
	keepLogs  bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == naiveCommand {
		exit(naive(os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.binary, "manager", "bin/manager-bench", "The manager, built with the tag scaled.")
	flag.StringVar(&o.arguments, "manager-args", "", "Flags for the manager, besides those of a row, with spaces in between.")
	flag.StringVar(&o.rows, "rows", "", "Only the rows whose name matches this regular expression.")
	flag.Uint64Var(&o.seed, "seed", 1, "What random choices follow from.")
	flag.BoolVar(&o.bounded, "bounded", false, "Only a few rows, in short, and only counts are judged, as in CI.")
	flag.IntVar(&o.scale, "scale", 0, "How many times faster than the real one the clock runs; 0 for what each row says.")
	flag.StringVar(&o.report, "report", "", "File that gets the report besides, for example hack/bench/REPORT.md.")
	flag.BoolVar(&o.keepLogs, "keep-logs", false, "Keep the managers' logs.")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, o)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench measures the rows, and prints the report.
func bench(ctx context.Context, o options) (err error) {
	h, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	chosen, missing, err := h.choose()
	if err != nil {
		return err
	}
	r := report{machine: describeMachine(ctx, h.cluster.Root), bounded: o.bounded, missing: missing, began: time.Now()}
	for n, row := range chosen {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		fmt.Fprintf(os.Stderr, "%d/%d  %s\n", n+1, len(chosen), row.name)
		r.results = append(r.results, h.execute(ctx, row))
	}
	r.took = time.Since(r.began)
	text := r.markdown()
	if _, err := fmt.Print(text); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if o.report != "" {
		if err := os.WriteFile(o.report, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return h.conclude(r.results)
}

// conclude says what does not hold.
func (h *harness) conclude(results []*result) error {
	var failed []string
	for _, r := range results {
		for _, f := range r.failures(h.bounded) {
			failed = append(failed, r.row.name+": "+f)
		}
	}
	if h.keepLogs || len(failed) > 0 {
		fmt.Fprintln(os.Stderr, "The logs are in", h.directory)
	} else if err := os.RemoveAll(h.directory); err != nil {
		return fmt.Errorf("removing the logs: %w", err)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d things do not hold:\n  %s", len(failed), strings.Join(failed, "\n  "))
	}
	return nil
}
