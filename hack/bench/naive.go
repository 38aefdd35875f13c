// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/simulated"
	"github.com/ssm-remediator/ssm-remediator/hack/chaos/scaled"
)

// naiveCommand is the first argument of a process that is the naive loop.
const naiveCommand = "naive"

const (
	// naiveWorkers is how many instances the loop looks at at a time, and naivePoll how long it waits before it asks for a
	// result, and again.
	naiveWorkers = 100
	naivePoll    = time.Second
)

// naiveLoop is what one writes first: it sends each instance a command, and polls for the result.
type naiveLoop struct {
	client *ssm.Client
	clock  clock.Clock
	input  ssm.SendCommandInput
}

// naive is the process of the loop. It prints how much memory it has had at most.
func naive(arguments []string) error {
	flags := flag.NewFlagSet(naiveCommand, flag.ExitOnError)
	endpoint := flags.String("endpoint", "", "URL of Systems Manager.")
	instances := flags.Int("instances", 0, "How many instances there are.")
	rounds := flags.Int("rounds", 1, "How many times to probe them all.")
	if err := flags.Parse(arguments); err != nil {
		return fmt.Errorf("reading the flags: %w", err)
	}
	clk, err := scaled.FromEnvironment()
	if err != nil {
		return err
	}
	loop, err := newNaiveLoop(*endpoint, clk)
	if err != nil {
		return err
	}
	for range *rounds {
		if err := loop.round(context.Background(), *instances); err != nil {
			return err
		}
	}
	// That of the operating system has the memory of the process that has started this one in it.
	m, err := memoryOf(os.Getpid())
	if err == nil {
		_, err = fmt.Println(m.peak)
	}
	return err
}

func newNaiveLoop(endpoint string, clk clock.Clock) (*naiveLoop, error) {
	check := process.Check{
		Process: v1alpha1.ProcessSpec{SystemdUnit: unit}, Timeout: 10 * time.Second, Namespace: "naive", Policy: "loop",
	}
	script, err := process.ProbeScript(check, "naive")
	if err != nil {
		return nil, fmt.Errorf("making the probe: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: naiveWorkers}
	return &naiveLoop{
		client: ssm.New(ssm.Options{
			Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
			HTTPClient: &http.Client{Transport: plainBodies{transport}},
		}),
		clock: clk,
		input: ssm.SendCommandInput{
			DocumentName: aws.String("AWS-RunShellScript"), Comment: aws.String("naive"), TimeoutSeconds: aws.Int32(30),
			Parameters: map[string][]string{"commands": {script}, "executionTimeout": {"60"}},
		},
	}, nil
}

// round probes all instances once.
func (l *naiveLoop) round(ctx context.Context, instances int) error {
	var workers sync.WaitGroup
	queue, errs := make(chan string), make([]error, naiveWorkers)
	for n := range naiveWorkers {
		workers.Go(func() {
			for id := range queue {
				errs[n] = errors.Join(errs[n], l.probe(ctx, id))
			}
		})
	}
	for n := range instances {
		queue <- simulated.ID(n)
	}
	close(queue)
	workers.Wait()
	return errors.Join(errs...)
}

// probe sends a command to one instance and waits for its end.
func (l *naiveLoop) probe(ctx context.Context, id string) error {
	in := l.input
	in.InstanceIds = []string{id}
	sent, err := l.client.SendCommand(ctx, &in)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	for {
		l.clock.Sleep(naivePoll)
		result, err := l.client.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
			CommandId: sent.Command.CommandId, InstanceId: &id,
		})
		var notYet *types.InvocationDoesNotExist
		switch {
		case errors.As(err, &notYet):
		case err != nil:
			return fmt.Errorf("reading the result: %w", err)
		case result.Status != types.CommandInvocationStatusPending && result.Status != types.CommandInvocationStatusInProgress:
			return nil
		}
	}
}

// plainBodies hides from net/http that the bodies of the SDK are io.WriterTo; see runcommand.plainBodyClient.
type plainBodies struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body = struct{ io.ReadCloser }{r.Body}
	return p.RoundTripper.RoundTrip(r)
}
