// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
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

// webServer and webClient are names under which the test binary is a web server on the address of its argument, and a client
// that asks for the page of its argument.
const (
	webServer = "test-web-server"
	webClient = "test-web-client"
)

func init() {
	switch filepath.Base(os.Args[0]) {
	case webServer:
		server := &http.Server{Addr: os.Args[1], Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
		fmt.Fprintln(os.Stderr, server.ListenAndServe())
		os.Exit(1)
	case webClient:
		response, err := http.Get(os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = response.Body.Close()
		os.Exit(0)
	}
}

func TestMain(m *testing.M) {
	os.Exit(m.Run())
}
