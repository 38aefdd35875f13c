// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ssmlocal is a local Systems Manager endpoint that the real AWS SDK talks to over HTTP. It keeps the rules of Run
// Command (limits, statuses, counts, time-outs, eventually consistent reads, ramp-up, truncation) and really runs commands.
//
//	SDK ── HTTP ── protocol, faults, rate limit ── operation ── document ─┐
//	                                                                      ▼
//	              commands ── ramp-up ── delivery ── instance with its agent ── Runner: Local (real processes on a machine)
//	                  ▲                                  │                              Scripted (a Go function)
//	                  └────────── status, output ◄───────┴── ledger of executions
//
// A command is a document with its parameters put in, a program of one or more steps; its job at an agent runs them one by
// one. What has happened on the node (job) is apart from what the service knows of it (invocation), because an agent may stop,
// lose its connection, run what was cancelled, and run twice what it was given once.
//
// Time comes from an injected clock, and what it changes is worked out when somebody looks: each call first replays, in
// order, the events that have become due (a delivery, the end of a scripted execution, a time-out). So a stepped clock
// gives the same answers every time, and ten thousand scripted instances need no goroutine. What may end at any time tells
// the server when something happens to it (Forecast). Only Local runners have goroutines of their own.
//
// Where AWS's texts leave a rule open, the comment at the rule says what was chosen.
package ssmlocal
