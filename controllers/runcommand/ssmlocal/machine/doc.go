// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package machine makes small Linux machines out of namespaces on this host, for processes that must neither see nor
// disturb each other while they share the host's programs and loopback network.
//
//	host ── pid 1 (cat, waits on a pipe that the starting process holds)
//	          ├── own pid namespace: every process of the machine, and none else; /proc shows just these
//	          ├── own mount namespace: empty /run and /var/lib, everything else is the host's
//	          └── own host name
//
// Pid 1 ignores SIGCHLD, so that the kernel itself reaps orphans. It ends when the pipe closes, which the kernel does
// however the starting process ends, and the kernel then kills all that is left in the pid namespace: nothing survives.
package machine
