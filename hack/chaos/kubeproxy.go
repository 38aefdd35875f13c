// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"net/http"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// managerUser is the service account of config/default, in its namespace, whose rights the managers have and no more.
const (
	managerNamespace = "ssm-remediator-system"
	managerUser      = "system:serviceaccount:" + managerNamespace + ":ssm-remediator-controller-manager"
)

// newKubeProxy returns the proxy between a manager and the API server. It signs in as the manager's service account, and
// shows the manager one namespace only, so that several runs fit into one cluster.
func newKubeProxy(cluster *rest.Config, namespace string, treat func(string) treatment, gates *gates) (*proxy, error) {
	config := impersonated(cluster, managerUser)
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	p := &proxy{forward: transport, target: strings.TrimSuffix(server.String(), "/"), kind: kubeKind, treat: treat}
	p.rewrite = func(r *http.Request) { confine(r, namespace) }
	p.stream = func(w http.ResponseWriter, r *http.Request) bool {
		if watches(r) {
			p.watch(w, r, gates)
		}
		return watches(r)
	}
	return p, p.start()
}

// impersonated are the credentials of somebody else.
func impersonated(cluster *rest.Config, user string) *rest.Config {
	config := rest.CopyConfig(cluster)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: user, Groups: []string{"system:serviceaccounts", "system:authenticated"},
	}
	return config
}

// confine makes a request for our objects in all namespaces one for those in the given one.
func confine(r *http.Request, namespace string) {
	prefix := "/apis/" + v1alpha1.GroupVersion.String() + "/"
	resource, ours := strings.CutPrefix(r.URL.Path, prefix)
	if ours && !strings.Contains(resource, "/") && resource != "" {
		r.URL.Path = prefix + "namespaces/" + namespace + "/" + resource
	}
}

// watch passes a watch on, piece by piece, as far as its gate lets it.
func (p *proxy) watch(w http.ResponseWriter, r *http.Request, gates *gates) {
	gate := gates.of(kubeKind(r, nil))
	if gate.expire(r) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write(kubeStatus(http.StatusGone, "Expired", "too old resource version"))
		return
	}
	out, err := p.outgoing(r.Context(), r, nil)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	response, err := p.forward.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = response.Body.Close() }()
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	cut := gate.streams()
	go func() {
		select {
		case <-cut:
			_ = response.Body.Close()
		case <-r.Context().Done():
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buffer)
		if !gate.pass(r.Context()) {
			panic(http.ErrAbortHandler)
		}
		if _, writeErr := w.Write(buffer[:n]); err != nil || writeErr != nil || flush.Flush() != nil {
			return
		}
	}
}

// gates holds the gates of the watches of one manager, by kind.
type gates struct {
	mu     sync.Mutex
	byKind map[string]*gate
}

func (g *gates) of(kind string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byKind == nil {
		g.byKind = map[string]*gate{}
	}
	if g.byKind[kind] == nil {
		g.byKind[kind] = newGate()
	}
	return g.byKind[kind]
}
