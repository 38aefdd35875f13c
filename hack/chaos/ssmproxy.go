// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
)

// newSSMProxy returns the proxy between a manager and the endpoint of Systems Manager.
func newSSMProxy(endpoint string, treat func(string) treatment) (*proxy, error) {
	p := &proxy{forward: &http.Transport{MaxIdleConnsPerHost: 64}, target: endpoint, kind: ssmKind, treat: treat}
	return p, p.start()
}

// ssmError is an error as Systems Manager answers it.
func ssmError(status int, code, message string) *answer {
	return &answer{
		status: status, header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		body: fmt.Appendf(nil, `{"__type":%q,"Message":%q}`, code, message),
	}
}

// kubeError is an error as the API server answers it.
func kubeError(status int, reason, message string) *answer {
	a := &answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: kubeStatus(status, reason, message)}
	if status == http.StatusTooManyRequests {
		a.header.Set("Retry-After", "1")
	}
	return a
}
