// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// gate holds the events of a watch back: what the manager then sees is stale.
type gate struct {
	mu sync.Mutex
	// open is closed while events pass; held tells that it is not.
	open chan struct{}
	held bool
	// cut is closed to end the watches that there are.
	cut chan struct{}
	// expired refuses the next watch that goes on from an earlier one, so that everything is listed anew and what happened
	// in between is never seen.
	expired bool
}

func newGate() *gate {
	g := &gate{open: make(chan struct{}), cut: make(chan struct{})}
	close(g.open)
	return g
}

// hold lets no event pass until release.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held {
		g.held, g.open = true, make(chan struct{})
	}
}

// release lets the events pass again, those first that were held back.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unlatch()
}

func (g *gate) unlatch() {
	if g.held {
		g.held = false
		close(g.open)
	}
}

// forget lets events pass again, without those that were held back: they are never seen, only what they led to.
func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expired = true
	close(g.cut)
	g.cut = make(chan struct{})
	g.unlatch()
}

// pass waits until the gate is open. It is false when the watch is to end: its manager has gone, or it was cut.
func (g *gate) pass(ctx context.Context) bool {
	g.mu.Lock()
	open, cut := g.open, g.cut
	g.mu.Unlock()
	select {
	case <-cut:
		return false
	case <-ctx.Done():
		return false
	case <-open:
	}
	select {
	case <-cut:
		return false
	default:
		return true
	}
}

// streams is closed when the watches that there are now have to end.
func (g *gate) streams() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cut
}

// expire reports whether a watch has to be answered as one whose place in history is no longer known.
func (g *gate) expire(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	goesOn := r.URL.Query().Get("resourceVersion") != "" && r.URL.Query().Get("sendInitialEvents") == ""
	was := g.expired && goesOn
	if was {
		g.expired = false
	}
	return was
}

// kubeStatus is the API server's form of an error.
func kubeStatus(code int, reason, message string) []byte {
	return fmt.Appendf(nil, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":%q,"message":%q,"code":%d}`,
		reason, message, code)
}
