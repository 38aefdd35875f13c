// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// headless makes the test binary a process whose first thread has ended while others live: ps shows it as defunct.
const headless = "SSM_REMEDIATOR_TEST_HEADLESS"

func init() {
	if os.Getenv(headless) == "" {
		return
	}
	// init runs on the first thread.
	runtime.LockOSThread()
	go func() {
		for {
			_ = syscall.Pause()
		}
	}()
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

func TestMain(m *testing.M) {
	os.Exit(m.Run())
}
