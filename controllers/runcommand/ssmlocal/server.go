// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// DefaultReadLag is how long a new command stays invisible to reads unless Options say otherwise.
const DefaultReadLag = 200 * time.Millisecond

// DefaultRetention is how long Run Command keeps its history.
const DefaultRetention = 30 * 24 * time.Hour

// Options of a Server. The zero value is an account 123456789012 in eu-central-1 on the real clock.
type Options struct {
	// Account is the id of the AWS account.
	Account string
	// Region is what the nodes see as AWS_SSM_REGION_NAME.
	Region string
	// Clock gives all times.
	Clock clock.WithTicker
	// ReadLag is how long a new command is invisible: GetCommandInvocation answers InvocationDoesNotExist and the lists leave
	// it out. Nil means DefaultReadLag; 0 makes reads consistent.
	ReadLag *time.Duration
	// AckDelay is the time from sending a command to a node that is online until the node acknowledges and starts it.
	AckDelay time.Duration
	// PingLag is how long a node that no longer answers is still Online in the inventory. AWS takes some minutes; here it is 0 by
	// default.
	PingLag time.Duration
	// RampUp chooses what the next wave of a command with many targets waits for.
	RampUp RampUp
	// Workers is how many commands an agent runs at a time; more wait in its queue. Defaults to 5, as the agent does.
	Workers int
	// Retention is how long commands and the entries of their executions are kept after the send. Defaults to
	// DefaultRetention. A long simulation does with less: with as much as the age of what its clients still read.
	Retention time.Duration
	// OnExecution, when set, gets each execution when it starts, and the server itself keeps no Ledger. It is called with the
	// server's lock held: it must not call the server.
	OnExecution func(Entry)
}

// Server is the endpoint. It is an http.Handler; Start gives it an address of its own.
type Server struct {
	account, region string
	clock           clock.WithTicker
	readLag         time.Duration
	ackDelay        time.Duration
	pingLag         time.Duration
	rampUp          RampUp
	workers         int
	retention       time.Duration
	onExecution     func(Entry)

	ctx  context.Context
	stop context.CancelFunc
	http *http.Server
	url  string
	// processes are the goroutines of Local runners.
	processes sync.WaitGroup

	mu sync.Mutex
	// now is the time up to which events were replayed; while one is replayed it is the time of that event.
	now       time.Time
	events    events
	news      news
	instances map[string]*instance
	// ids are the keys of instances in order.
	ids []string
	// documents by name.
	documents map[string]*document
	// commands are in the order in which they were sent, and so in that of their times.
	commands []*command
	byID     map[string]*command
	sent     int64
	// invocations counts those of all commands.
	invocations int64
	ledger      []*Entry
	calls       map[string]int
	limiter     *rate.Limiter
	faults      Faults
	// active counts executions of Local runners; idle is closed when it falls to 0.
	active int
	idle   chan struct{}
}

// New makes a server. Close it, so that no process of a Local runner is left.
func New(o Options) *Server {
	lag := DefaultReadLag
	if o.ReadLag != nil {
		lag = *o.ReadLag
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	shell, err := compile(awsRunShellScript())
	if err != nil {
		panic("compiling " + RunShellScript + ": " + err.Error())
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Server{
		account:   cmp.Or(o.Account, "123456789012"),
		region:    cmp.Or(o.Region, "eu-central-1"),
		clock:     o.Clock,
		readLag:   lag,
		ackDelay:  o.AckDelay,
		pingLag:   o.PingLag,
		rampUp:    o.RampUp,
		workers:   cmp.Or(o.Workers, 5),
		retention: cmp.Or(o.Retention, DefaultRetention),

		onExecution: o.OnExecution,
		ctx:         ctx,
		stop:        stop,
		now:         o.Clock.Now(),
		instances:   map[string]*instance{},
		documents:   map[string]*document{RunShellScript: shell},
		byID:        map[string]*command{},
		calls:       map[string]int{},
	}
}

// Start serves on an address, by default (empty) on a free port of 127.0.0.1, until Close.
func (s *Server) Start(address string) error {
	listener, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", cmp.Or(address, "127.0.0.1:0"))
	if err != nil {
		return fmt.Errorf("listening for the local SSM endpoint: %w", err)
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }()
	return nil
}

// URL is the endpoint for AWS_ENDPOINT_URL, after Start.
func (s *Server) URL() string {
	return s.url
}

// Close stops serving, kills what Local runners have running, and returns when that has ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	s.processes.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("closing the local SSM endpoint: %w", err)
	}
	return nil
}

// lock takes the server's lock and brings its state up to now. The function that it returns gives it back, after what the
// holder made due at once has happened too.
func (s *Server) lock() (unlock func()) {
	s.mu.Lock()
	s.advance(s.clock.Now())
	return func() {
		s.advance(s.now)
		s.mu.Unlock()
	}
}

// spawn runs something beside, with the lock held. After Close it does nothing.
func (s *Server) spawn(f func()) {
	if s.ctx.Err() == nil {
		s.processes.Go(f)
	}
}
