// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

// webServerName is the name under which this program is the web server of an instance, and the name of its process.
const webServerName = "web-server"

// serveWeb is the web server: it answers every request with its name and process id. Its arguments are the address and the
// name.
func serveWeb(args []string) {
	address, name := args[0], args[1]
	server := &http.Server{
		Addr:              address,
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, "It works! %s, pid %d\n", name, os.Getpid())
		}),
	}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}
