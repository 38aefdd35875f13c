// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// Do carries a request out without a connection: a Server is an aws.HTTPClient, for tests that make more calls than sockets
// can take. It needs no Start. A connection that a fault closes is an error. A Fault with a Delay holds up the caller until
// the server's clock has moved on.
func (s *Server) Do(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if closed := recover(); closed == http.ErrAbortHandler { //nolint:errorlint // what net/http compares, too
			response, err = nil, errors.New("the connection was closed")
		} else if closed != nil {
			panic(closed)
		}
	}()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &recorded{header: http.Header{}, status: http.StatusOK}
	s.ServeHTTP(w, r)
	return &http.Response{
		StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r, ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(w.body.Len()),
	}, nil
}

// recorded is an http.ResponseWriter that keeps what is written.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *recorded) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *recorded) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *recorded) Write(text []byte) (int, error) { return a.body.Write(text) }
