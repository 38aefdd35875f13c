// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// TestManifestsGiveFlagsThatThereAre starts no manager with the flags of the manifests, but reads them.
func TestManifestsGiveFlagsThatThereAre(t *testing.T) {
	for directory, want := range map[string][]string{
		"config/default": {"everything"},
		"config/sharded": {"namespaces data", "namespaces shop,web"},
	} {
		t.Run(directory, func(t *testing.T) {
			g := NewWithT(t)
			manifests, err := cluster.Kubectl(t.Context(), "", "kustomize", directory)
			g.Expect(err).NotTo(HaveOccurred())
			t.Setenv("POD_NAMESPACE", "ssm-remediator-system")
			calls, shards := 0.0, []string{}
			for document := range strings.SplitSeq(manifests, "\n---\n") {
				deployment := &appsv1.Deployment{}
				if g.Expect(yaml.Unmarshal([]byte(document), deployment)).To(Succeed()); deployment.Kind != "Deployment" {
					continue
				}
				o, err := parse(deployment.Spec.Template.Spec.Containers[0].Args...)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(o.validate()).To(Succeed())
				shards = append(shards, o.shard.String())
				calls += o.callsPerSecond
			}
			g.Expect(shards).To(ConsistOf(want))
			unset, err := parse()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(calls).To(Equal(unset.callsPerSecond), "together they call no more than one manager does")
		})
	}
}
