// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"time"
)

// treatment is what happens to a call. The zero value lets it pass.
type treatment struct {
	// before is done while the call is held, before the server sees it, and after when it was carried out and the answer
	// is held. Their context ends with the connection.
	before, after func(context.Context)
	// lose drops the connection: the call never reaches the server, or it was carried out and its answer is lost.
	lose loss
	// delay holds the answer back, in real time.
	delay time.Duration
	// answer is given instead of carrying the call out, or, with carriedOut, instead of the server's own answer.
	answer     *answer
	carriedOut bool
}

type loss int

const (
	loseNothing loss = iota
	loseCall
	loseAnswer
)

// answer is an HTTP response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// proxy stands between one manager and one server. It treats each call as the run says.
type proxy struct {
	url     string
	server  *http.Server
	forward http.RoundTripper
	target  string
	// kind reads what a call is for.
	kind func(*http.Request, []byte) string
	// treat says what happens to a call of that kind.
	treat func(kind string) treatment
	// stream, when set, takes over the requests whose answer has no end.
	stream func(http.ResponseWriter, *http.Request) bool
	// rewrite, when set, changes a request before it is looked at.
	rewrite func(*http.Request)
}

// start serves on a free port of loopback.
func (p *proxy) start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for a proxy: %w", err)
	}
	p.url = "http://" + listener.Addr().String()
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }()
	return nil
}

func (p *proxy) stop() error { return p.server.Close() }

// ServeHTTP treats one call. To lose one is to end its connection, which is what ErrAbortHandler does.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.rewrite != nil {
		p.rewrite(r)
	}
	if p.stream != nil && p.stream(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	t := p.treat(p.kind(r, body))
	if t.before != nil {
		t.before(r.Context())
	}
	if t.lose == loseCall {
		panic(http.ErrAbortHandler)
	}
	a, err := p.respond(t, r, body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t.after != nil {
		t.after(r.Context())
	}
	wait(r.Context(), t.delay)
	if t.lose == loseAnswer {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// respond is the answer to a call.
func (p *proxy) respond(t treatment, r *http.Request, body []byte) (*answer, error) {
	if t.answer != nil && !t.carriedOut {
		return t.answer, nil
	}
	a, err := p.pass(r, body)
	if t.answer != nil {
		return t.answer, err
	}
	return a, err
}

// pass carries a call out, whatever becomes of who made it.
func (p *proxy) pass(r *http.Request, body []byte) (*answer, error) {
	out, err := p.outgoing(context.WithoutCancel(r.Context()), r, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := p.forward.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return &answer{response.StatusCode, response.Header, content}, err
}

// outgoing is a request as the server gets it.
func (p *proxy) outgoing(ctx context.Context, r *http.Request, body io.Reader) (*http.Request, error) {
	out, err := http.NewRequestWithContext(ctx, r.Method, p.target+r.URL.RequestURI(), body)
	if err != nil {
		return nil, fmt.Errorf("passing a call on: %w", err)
	}
	out.Header = r.Header.Clone()
	// The answer is to be read here.
	out.Header.Del("Accept-Encoding")
	return out, nil
}

// wait waits in real time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// closed reports whether an error only says that something was stopped.
func closed(err error) bool {
	return errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed)
}
