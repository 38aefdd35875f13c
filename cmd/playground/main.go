// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command playground shows ssm-remediator at work on this machine alone: an embedded Kubernetes control plane, a fleet of
// three local instances behind a local Systems Manager endpoint, each with a web server of its own, and the manager. One of
// the web servers is killed and brought back. Nothing outside loopback is talked to, and nothing is left running.
//
//	playground          tells the story, then stays up to be tried out until Ctrl-C
//	playground --once   tells the story and ends; exit status 0 only if the recovery was verified
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	// The instances run this very program under another name as their web server.
	if filepath.Base(os.Args[0]) == webServerName {
		serveWeb(os.Args[1:])
		return
	}
	once := flag.Bool("once", false, "End after the story, with exit status 0 only if the recovery was verified.")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := play(ctx, *once)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		say("Interrupted; everything is stopped.")
	default:
		fmt.Fprintln(os.Stderr, "playground:", err)
		os.Exit(1)
	}
}

// play starts everything, tells the story, and stops everything again in the opposite order.
func play(ctx context.Context, once bool) (err error) {
	begin := time.Now()
	directory, err := os.MkdirTemp("", "ssm-remediator-playground-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()

	say("Starting etcd, kube-apiserver and kube-controller-manager (about 15 s) ...")
	cluster, err := startCluster(ctx, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.stop()) }()

	say("Starting a fleet of %d local instances, each with a web server, and a local Systems Manager endpoint ...", fleetSize)
	fleet, err := startFleet(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fleet.stop()) }()
	for _, instance := range fleet.instances {
		say("  %s  %s", instance.id, instance.url())
	}

	say("Starting the manager, as the service account that config/rbac grants its rights to ...")
	manager, err := startManager(cluster, fleet, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, manager.Stop()) }()

	if err := tell(ctx, cluster, fleet); err != nil {
		if ctx.Err() == nil {
			printLog(manager)
		}
		return err
	}
	say("")
	say("The recovery was verified; the whole took %s.", time.Since(begin).Round(time.Second))
	if once {
		return nil
	}
	invite(cluster, fleet, manager)
	<-ctx.Done()
	say("")
	say("Stopping everything ...")
	return nil
}
