// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

const (
	// fleetSize is how many instances there are.
	fleetSize = 3
	// region is where they seem to be.
	region = "eu-central-1"
)

// fleet is a local Systems Manager endpoint with its instances.
type fleet struct {
	server    *ssmlocal.Server
	instances []*instance
}

func startFleet(ctx context.Context) (_ *fleet, err error) {
	f := &fleet{server: ssmlocal.New(ssmlocal.Options{Region: region})}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
		}
	}()
	if err := f.server.Start(""); err != nil {
		return nil, fmt.Errorf("starting the local Systems Manager endpoint: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the web server: %w", err)
	}
	for n := range fleetSize {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		i, err := startInstance(ctx, n+1, address, program)
		if err != nil {
			return nil, err
		}
		f.instances = append(f.instances, i)
		err = f.server.AddInstance(ssmlocal.Instance{
			ID: i.id, ComputerName: i.name, Tags: map[string]string{"Role": "web"}, Runner: &ssmlocal.Local{Machine: i.machine},
		})
		if err != nil {
			return nil, fmt.Errorf("adding the instance: %w", err)
		}
	}
	return f, nil
}

// freeAddress finds a port of loopback that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func (f *fleet) stop() error {
	err := f.server.Close()
	for _, i := range f.instances {
		err = errors.Join(err, i.machine.Stop())
	}
	return err
}
