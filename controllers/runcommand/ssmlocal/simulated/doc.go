// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package simulated is a model of Linux nodes that run our scripts: it answers as the scripts of controllers/process do,
// without a process, thousands of times a second, and keeps a ledger of what was really done to each node.
//
//	ssmlocal ── Execution ──▶ Node.run: bring the node up to the start ─▶ play the script to its end ─▶ Outcome
//	                            │                                            │
//	  tests ── Fail, GoDown, … ─┴─▶ changes, each at its time ◀── plan ──────┤
//	                                                                         └─▶ Ledger: every effect
//
// A node has no clock. An execution brings the time of its start, and a script is played from there to its end at once, because
// an Outcome has to say what comes of it. What the script does to the node is put down as a plan: changes at the times at which
// they come about, seen by others only from then on, and taken back when the script is ended before (Outcome.Killed) or the
// node goes down.
//
// A watch is the one script whose end depends on what is still to happen. Its Outcome is a forecast: the node tells the server
// of each change, and the server asks again. Of the looks of a watch only those are played that may find something.
//
// That the model says what the scripts say is tested against the scripts themselves, on a real machine.
package simulated
