// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// behind starts a server that counts its calls, and a proxy in front of it that gives each the treatment.
func behind(t *testing.T, treat func(string) treatment) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.Method, body)
	}))
	t.Cleanup(server.Close)
	p, err := newSSMProxy(server.URL, treat)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.stop() })
	return p.url, calls
}

func TestTreatments(t *testing.T) {
	refused := ssmError(http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
	for name, c := range map[string]struct {
		treatment
		wantCalls int32
		// want is the answer; empty when the connection is lost.
		want string
	}{
		"passes":                  {wantCalls: 1, want: "200 POST hello"},
		"lost on the way there":   {treatment: treatment{lose: loseCall}},
		"lost on the way back":    {treatment: treatment{lose: loseAnswer}, wantCalls: 1},
		"refused":                 {treatment: treatment{answer: refused}, want: "400 " + string(refused.body)},
		"carried out and refused": {treatment: treatment{answer: refused, carriedOut: true}, wantCalls: 1, want: "400 " + string(refused.body)},
		"delayed":                 {treatment: treatment{delay: time.Millisecond}, wantCalls: 1, want: "200 POST hello"},
	} {
		t.Run(name, func(t *testing.T) {
			url, calls := behind(t, func(string) treatment { return c.treatment })
			got := ""
			response, err := http.Post(url, "text/plain", strings.NewReader("hello"))
			if err == nil {
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				got = fmt.Sprintf("%d %s", response.StatusCode, body)
			}
			if got != c.want || calls.Load() != c.wantCalls {
				t.Errorf("got %q after %d calls, want %q after %d", got, calls.Load(), c.want, c.wantCalls)
			}
		})
	}
}

func TestHooksSeeTheCallOnItsWay(t *testing.T) {
	var before, after int32
	var given treatment
	url, calls := behind(t, func(string) treatment { return given })
	given = treatment{
		before: func(context.Context) { before = calls.Load() },
		after:  func(context.Context) { after = calls.Load() },
	}
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if before != 0 || after != 1 {
		t.Errorf("the server had seen %d calls before and %d after", before, after)
	}
}

func TestGate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	passed := func(g *gate) <-chan bool {
		got := make(chan bool, 1)
		go func() { got <- g.pass(ctx) }()
		return got
	}
	waiting := func(got <-chan bool) {
		t.Helper()
		select {
		case <-got:
			t.Error("an event passed a gate that is held")
		case <-time.After(20 * time.Millisecond):
		}
	}
	goesOn := httptest.NewRequest(http.MethodGet, "/?watch=1&resourceVersion=7", nil)

	g := newGate()
	if !<-passed(g) {
		t.Error("an event did not pass an open gate")
	}
	g.hold()
	g.hold()
	got := passed(g)
	waiting(got)
	g.release()
	g.release()
	if !<-got || g.expire(goesOn) {
		t.Error("after release the watch does not go on with what was held back")
	}

	g.hold()
	got = passed(g)
	waiting(got)
	cut := g.streams()
	g.forget()
	<-cut
	if <-got {
		t.Error("after forget an event was seen that was held back")
	}
	if !<-passed(g) {
		t.Error("after forget the next watch has no events")
	}
	if !g.expire(goesOn) || g.expire(goesOn) {
		t.Error("after forget it is not exactly the next watch that is refused")
	}

	g.hold()
	got = passed(g)
	cancel()
	if <-got {
		t.Error("an event passed whose manager has gone")
	}
}
