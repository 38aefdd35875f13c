// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal/machine"
)

// instance is a small machine of its own with a web server.
type instance struct {
	id      string
	name    string
	address string
	machine *machine.Machine
}

// home is where the web server lies on each instance.
const home = "/var/lib/playground"

// startScript starts the web server as an init script would: in a session of its own, with nothing of the caller's.
const startScript = `#!/bin/sh
cd / && setsid %s/%s %s %s </dev/null >/dev/null 2>&1 &
`

func startInstance(ctx context.Context, number int, address, program string) (_ *instance, err error) {
	i := &instance{id: fmt.Sprintf("i-0a1b2c3d4e5f6%04d", number), name: fmt.Sprintf("web-%d", number), address: address}
	if i.machine, err = machine.Start(ctx, machine.Options{Hostname: i.name}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.machine.Stop())
		}
	}()
	if err := i.install(program); err != nil {
		return nil, fmt.Errorf("installing the web server of %s: %w", i.id, err)
	}
	if output, err := i.machine.Command(home + "/start-web-server").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("starting the web server of %s: %w: %s", i.id, err, output)
	}
	return i, await(ctx, "the web server of "+i.id, func() (bool, error) { return i.up(), nil })
}

func (i *instance) install(program string) error {
	directory := i.machine.Path(home)
	return errors.Join(
		os.Mkdir(directory, 0o755),
		os.Symlink(program, filepath.Join(directory, webServerName)),
		os.WriteFile(filepath.Join(directory, "start-web-server"),
			fmt.Appendf(nil, startScript, home, webServerName, i.address, i.name), 0o755),
	)
}

func (i *instance) url() string { return "http://" + i.address + "/" }

// get asks the web server for its page.
func (i *instance) get() (string, error) {
	response, err := (&http.Client{Timeout: time.Second}).Get(i.url())
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body)), err
}

func (i *instance) up() bool {
	_, err := i.get()
	return err == nil
}

// answer is what a browser would show.
func (i *instance) answer() string {
	text, err := i.get()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no answer (connection refused)"
	case err != nil:
		return "no answer (" + err.Error() + ")"
	}
	return text
}

// kill kills the web server, as the kernel does when memory runs out.
func (i *instance) kill() error {
	output, err := i.machine.Command("sh", "-c", fmt.Sprintf(
		`for p in /proc/[0-9]*; do read -r name <$p/comm && [ "$name" = %s ] && kill -9 "${p#/proc/}"; done; true`,
		webServerName)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("killing the web server of %s: %w: %s", i.id, err, output)
	}
	return nil
}
