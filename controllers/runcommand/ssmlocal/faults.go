// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Call is what Faults decide on.
type Call struct {
	// Operation is the name, such as SendCommand.
	Operation string
	// Number counts the calls of this operation, from 1.
	Number int
	// CommandID and InstanceID are those of the request, where it has them.
	CommandID, InstanceID string
	// InstanceIDs and Comment are those of a SendCommand.
	InstanceIDs []string
	Comment     string
}

// Fault is what goes wrong with one call. The zero value is nothing.
type Fault struct {
	// Code, when set, is answered as an AWS error and nothing is done: AccessDeniedException, ThrottlingException, ...
	Code string
	// Message is the text of that error.
	Message string
	// HTTPStatus is that of the error. Defaults to 400.
	HTTPStatus int

	// DropBefore closes the connection before anything is done.
	DropBefore bool
	// DropAfter closes the connection after the call was carried out: its answer is lost.
	DropAfter bool
	// Delay holds the answer back after the call was carried out, on the server's clock.
	Delay time.Duration

	// Lag makes the command of a SendCommand invisible to reads for longer, besides Options.ReadLag.
	Lag time.Duration
	// UndeliverableRan ends the command of a SendCommand as Undeliverable, without a start time, on every node that answers,
	// although they run it.
	UndeliverableRan bool
	// Reverse lists the oldest command first.
	Reverse bool
}

// Faults decides what goes wrong with a call. It is called once for each call that is within the rate limit, before the
// call is carried out and without the server's lock, by several goroutines at a time.
type Faults func(Call) Fault

// SetFaults chooses the faults of the calls from now on. Nil ends them.
func (s *Server) SetFaults(f Faults) {
	defer s.lock()()
	s.faults = f
}

// SetRateLimit answers calls beyond a number a second with ThrottlingException, as SSM does. A burst of one second's calls
// is let through. 0 ends the limit.
func (s *Server) SetRateLimit(perSecond float64) {
	defer s.lock()()
	s.limiter = nil
	if perSecond > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(perSecond), int(math.Max(1, perSecond)))
	}
}

// Calls tells how often each operation was called since the start or the last ResetCalls, refused ones included.
func (s *Server) Calls() map[string]int {
	defer s.lock()()
	return maps.Clone(s.calls)
}

// Invocations tells how many invocations all commands since the start have had together: one for each of their instances.
func (s *Server) Invocations() int64 {
	defer s.lock()()
	return s.invocations
}

// ResetCalls counts from 0 again.
func (s *Server) ResetCalls() {
	defer s.lock()()
	clear(s.calls)
}

// admit counts a call, and refuses it when there are too many or the faults say so.
func (s *Server) admit(name string, body []byte) (Fault, error) {
	unlock := s.lock()
	s.calls[name]++
	number, decide := s.calls[name], s.faults
	limited := s.limiter != nil && !s.limiter.AllowN(s.now, 1)
	unlock()

	if limited {
		return Fault{}, errorf("ThrottlingException", "Rate exceeded")
	}
	if decide == nil {
		return Fault{}, nil
	}
	var r struct {
		CommandID   string `json:"CommandId"`
		InstanceID  string `json:"InstanceId"`
		InstanceIDs []string
		Comment     string
	}
	// A body that cannot be read is refused by the operation itself.
	_ = json.Unmarshal(body, &r)
	fault := decide(Call{
		Operation: name, Number: number,
		CommandID: r.CommandID, InstanceID: r.InstanceID, InstanceIDs: r.InstanceIDs, Comment: r.Comment,
	})
	if fault.DropBefore {
		panic(http.ErrAbortHandler)
	}
	if fault.Code != "" {
		status := cmp.Or(fault.HTTPStatus, http.StatusBadRequest)
		return fault, &apiError{code: fault.Code, message: fault.Message, status: status}
	}
	return fault, nil
}

// afterwards does what the fault of a call does to its answer.
func (s *Server) afterwards(r *http.Request, f Fault) {
	if f.Delay > 0 {
		timer := s.clock.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C():
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
	}
	if f.DropAfter {
		panic(http.ErrAbortHandler)
	}
}
