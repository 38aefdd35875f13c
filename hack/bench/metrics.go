// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// scrape reads metrics in the text format of Prometheus, and gives each that is of that name to see.
func scrape(ctx context.Context, c *http.Client, url, name string, see func(labels map[string]string, value float64)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	response, err := c.Do(request)
	if err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("reading metrics: %s", response.Status)
	}
	return parseMetrics(response.Body, name, see)
}

var label = regexp.MustCompile(`(\w+)="([^"]*)"`)

func parseMetrics(text io.Reader, name string, see func(labels map[string]string, value float64)) error {
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		rest, found := strings.CutPrefix(lines.Text(), name)
		if !found || (!strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ")) {
			continue
		}
		labels := map[string]string{}
		for _, pair := range label.FindAllStringSubmatch(rest, -1) {
			labels[pair[1]] = pair[2]
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndex(rest, " ")+1:], 64)
		if err != nil {
			return fmt.Errorf("reading metrics: %w", err)
		}
		see(labels, value)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading metrics: %w", err)
	}
	return nil
}

// writing are the verbs of the API server's metrics that write.
var writing = map[string]bool{"POST": true, "PUT": true, "PATCH": true, "APPLY": true, "DELETE": true, "DELETECOLLECTION": true}

// writes are what was written to the API server so far, by resource, with its subresource: our objects and events. Leases,
// which the API server itself writes too, are not among them.
func (h *harness) writes(ctx context.Context) (map[string]float64, error) {
	server, _, err := rest.DefaultServerUrlFor(h.cluster.Config)
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	counts := map[string]float64{}
	metrics := server.JoinPath("metrics").String()
	err = scrape(ctx, h.http, metrics, "apiserver_request_total", func(l map[string]string, value float64) {
		if writing[l["verb"]] && (l["group"] == v1alpha1.GroupVersion.Group || l["resource"] == "events") {
			counts[strings.TrimSuffix(l["resource"]+"/"+l["subresource"], "/")] += value
		}
	})
	return counts, err
}
