// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// recoveries are the executions of commands of recoveries so far.
func (r *run) recoveries() []ssmlocal.Entry {
	var recoveries []ssmlocal.Entry
	for _, e := range r.server.Ledger() {
		if !strings.HasPrefix(e.Comment, "probe/") && e.Kind == ssmlocal.Run {
			recoveries = append(recoveries, e)
		}
	}
	return recoveries
}

// replay runs recoveries again, as an agent does that finds them persisted when it starts.
func (r *run) replay(recoveries []ssmlocal.Entry) error {
	for _, e := range recoveries {
		if err := r.server.Replay(e.InstanceID, e.CommandID); err != nil {
			return err
		}
		r.hit()
	}
	return nil
}

// cancelAndReplay cancels commands as an operator does, which the agent runs all the same when it starts the next time.
func cancelAndReplay(ctx context.Context, r *run) error {
	operator := runcommand.NewService(ssm.New(ssm.Options{
		Region: region, BaseEndpoint: new(r.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("operator", "secret", ""),
	}), nil)
	cancelled := map[string]bool{}
	for ctx.Err() == nil {
		for _, rec := range r.history.all() {
			for _, c := range rec.last.Status.Commands {
				instance := string(rec.last.Spec.InstanceID)
				if rec.result() != v1alpha1.ResultRunning || c.CommandID == "" || cancelled[c.CommandID] {
					continue
				}
				cancelled[c.CommandID] = true
				if err := operator.Cancel(ctx, c.CommandID, instance); err != nil && ctx.Err() == nil {
					return err
				}
				r.hit()
				r.sleep(ctx, r.between(0, 10*time.Second))
				if err := r.server.Replay(instance, c.CommandID); err != nil {
					return err
				}
			}
		}
		r.sleep(ctx, time.Second)
	}
	return nil
}

func replaySoon(ctx context.Context, r *run) error {
	for ctx.Err() == nil {
		r.sleep(ctx, r.between(time.Second, 5*time.Second))
		recoveries := r.recoveries()
		if err := r.replay(recoveries[max(0, len(recoveries)-5):]); err != nil {
			return err
		}
	}
	return nil
}

// replayLater waits for an hour, ends the processes, and replays everything before anybody has noticed.
func replayLater(ctx context.Context, r *run) error {
	r.sleep(ctx, time.Hour)
	for _, node := range r.nodes {
		node.Fail(r.ssmClock.Now())
	}
	if err := r.replay(r.recoveries()); err != nil {
		return err
	}
	r.sleep(ctx, time.Minute)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.incidents += len(r.nodes)
	for _, e := range r.ledger.Effects() {
		if e.Kind == ssmlocal.Replay {
			r.replayed++
		}
	}
	return nil
}
