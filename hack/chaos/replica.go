// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// replica is one place of the manager: a process that is started again whenever it ends, as a Deployment does, behind
// proxies of its own.
type replica struct {
	name      string
	directory string
	binary    string
	arguments []string
	env       []string
	kube, ssm *proxy
	gates     *gates

	mu      sync.Mutex
	process *exec.Cmd
	// ended is closed when the process has ended.
	ended chan struct{}
}

// restartPause is how long after its end a manager is started again.
const restartPause = 100 * time.Millisecond

// prepare writes the kubeconfig, which leads to the proxy.
func (r *replica) prepare() error {
	config := clientcmdapi.NewConfig()
	config.Clusters["run"] = &clientcmdapi.Cluster{Server: r.kube.url}
	config.Contexts["run"] = &clientcmdapi.Context{Cluster: "run", AuthInfo: "manager"}
	config.AuthInfos["manager"] = clientcmdapi.NewAuthInfo()
	config.CurrentContext = "run"
	path := filepath.Join(r.directory, r.name+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", r.name, err)
	}
	r.env = append(r.env, "PATH="+os.Getenv("PATH"), "HOME="+r.directory, "KUBECONFIG="+path, "AWS_ENDPOINT_URL="+r.ssm.url)
	return nil
}

// keepRunning runs the manager until ctx ends, and kills it then.
func (r *replica) keepRunning(ctx context.Context) error {
	for ctx.Err() == nil {
		ended, err := r.start()
		if err != nil {
			return err
		}
		select {
		case <-ended:
		case <-ctx.Done():
			r.kill()
		}
		wait(ctx, restartPause)
	}
	return nil
}

// start starts the process. All processes of a replica write one log.
func (r *replica) start() (<-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(r.directory, r.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(r.binary, r.arguments...)
	command.Env = r.env
	command.Stdout, command.Stderr = log, log
	// Its own process group, so that Ctrl-C reaches only this program, and no longer alive than this program.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the manager: %w", err)
	}
	ended := make(chan struct{})
	r.process, r.ended = command, ended
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	return ended, nil
}

// kill ends the process by SIGKILL, and returns when it has gone.
func (r *replica) kill() {
	r.mu.Lock()
	process, ended := r.process, r.ended
	r.mu.Unlock()
	if process == nil {
		return
	}
	// A process that is gone already is as good.
	_ = process.Process.Kill()
	<-ended
}

// signal sends a signal, for SIGSTOP and SIGCONT.
func (r *replica) signal(signal os.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		_ = r.process.Process.Signal(signal)
	}
}

// freeze stops the process in time for as long, or until ctx ends.
func (r *replica) freeze(ctx context.Context, d time.Duration) {
	r.signal(syscall.SIGSTOP)
	wait(ctx, d)
	r.signal(syscall.SIGCONT)
}

// close stops the proxies.
func (r *replica) close() error {
	err := errors.Join(r.kube.stop(), r.ssm.stop())
	if closed(err) {
		return nil
	}
	return err
}
