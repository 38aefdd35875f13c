// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/ssm-remediator/ssm-remediator/hack/ssmcall"
)

// recorder serves an endpoint of Systems Manager, and writes down every call.
type recorder struct {
	endpoint http.Handler
	clock    clock.PassiveClock
	url      string
	server   *http.Server

	mu    sync.Mutex
	calls []call
}

// call is one that was made, whatever came of it.
type call struct {
	at        time.Time
	operation string
	purpose   ssmcall.Purpose
	// remediation is the uid of the one that a command was sent for.
	remediation string
	// refused tells that it was throttled.
	refused bool
}

// record serves on a free port of loopback.
func record(endpoint http.Handler, clk clock.PassiveClock) (*recorder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the recorder: %w", err)
	}
	r := &recorder{endpoint: endpoint, clock: clk, url: "http://" + listener.Addr().String()}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *recorder) stop() error { return r.server.Close() }

// ServeHTTP lets a call through, and writes it down with the time at which it came.
func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	at := r.clock.Now()
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer := &watched{ResponseWriter: w}
	r.endpoint.ServeHTTP(answer, request)
	c := ssmcall.Read(request, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{
		at: at, operation: c.Operation, purpose: c.Purpose(), remediation: strings.Clone(c.Remediation()), refused: answer.refused,
	})
}

// watched sees whether an answer says that there were too many calls.
type watched struct {
	http.ResponseWriter
	status  int
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *watched) Write(body []byte) (int, error) {
	w.refused = w.refused || (w.status == http.StatusBadRequest && bytes.Contains(body, []byte("ThrottlingException")))
	return w.ResponseWriter.Write(body)
}

// between are the calls of a time, in the order in which they were answered.
func (r *recorder) between(from, to time.Time) []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []call
	for _, c := range r.calls {
		if !c.at.Before(from) && c.at.Before(to) {
			calls = append(calls, c)
		}
	}
	return calls
}

// byOperation counts calls.
func byOperation(calls []call) map[string]int {
	count := map[string]int{}
	for _, c := range calls {
		count[c.operation]++
	}
	return count
}

// refusals counts those that were throttled.
func refusals(calls []call) int {
	n := 0
	for _, c := range calls {
		if c.refused {
			n++
		}
	}
	return n
}

// busiest is the highest number of calls a second over any time of that length.
func busiest(calls []call, window time.Duration) float64 {
	most, first := 0, 0
	for i := range calls {
		for calls[i].at.Sub(calls[first].at) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return float64(most) / window.Seconds()
}
