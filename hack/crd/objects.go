// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/ptr"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// ID is the instance id of the node of a number, as simulated nodes have it.
func ID(number int) string { return fmt.Sprintf("i-%017x", number) }

// Policy makes up a policy: a spec that the API server admits, and any status that it would let somebody write.
func (t *Tape) Policy(now time.Time) *v1alpha1.RemediationPolicy {
	policy := &v1alpha1.RemediationPolicy{}
	t.make("remediationpolicies", now, map[string]any{"spec": &policy.Spec, "status": &policy.Status})
	obey(&policy.Spec)
	return policy
}

// Remediation makes up a Remediation of the policy httpd, in the same way.
func (t *Tape) Remediation(now time.Time) *v1alpha1.Remediation {
	remediation := &v1alpha1.Remediation{}
	t.make("remediations", now, map[string]any{"spec": &remediation.Spec, "status": &remediation.Status})
	obeyStep(&remediation.Spec.Step)
	obeyProcess(&remediation.Spec.Process)
	obeyOutput(&remediation.Spec.Output)
	return remediation
}

// schemas are read once.
var schemas = sync.OnceValues(func() (map[string]*Schema, error) {
	read := map[string]*Schema{}
	for _, plural := range kinds {
		schema, err := Load(plural)
		if err != nil {
			return nil, err
		}
		read[plural] = schema
	}
	return read, nil
})

// make makes up fields of an object.
func (t *Tape) make(plural string, now time.Time, fields map[string]any) {
	read, err := schemas()
	if err != nil {
		panic(err)
	}
	maker := Maker{Tape: t, Now: now, Values: values(), OneOf: oneOf}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		schema := property(read[plural], name)
		made := maker.Make(name, schema)
		fillIn(schema, made)
		text, err := json.Marshal(made)
		if err != nil {
			panic(fmt.Sprintf("writing what was made up: %v", err))
		}
		if err := json.Unmarshal(text, fields[name]); err != nil {
			panic(fmt.Sprintf("reading what was made up: %v: %s", err, text))
		}
	}
}

// oneOf are the unions of the API.
var oneOf = map[string][]string{
	"spec.targets":          {"tags", "instanceIDs"},
	"spec.process":          {"name", "systemdUnit", "pidFile", "command"},
	"spec.recovery.steps[]": {"command", "document", "reboot"},
	"spec.step":             {"command", "document", "reboot"},
}

// obey lets a spec keep the rules that bind its fields together.
func obey(spec *v1alpha1.RemediationPolicySpec) {
	if spec.Probe.Mode == v1alpha1.ProbeWatch {
		spec.Probe.PeriodSeconds = min(spec.Probe.PeriodSeconds, spec.Probe.WatchSeconds)
	}
	spec.Probe.TimeoutSeconds = min(spec.Probe.TimeoutSeconds, spec.Probe.PeriodSeconds)
	spec.Limits.BackoffMaxSeconds = max(spec.Limits.BackoffMaxSeconds, spec.Limits.BackoffSeconds)
	if exclude := spec.Targets.Exclude; exclude != nil && len(exclude.InstanceIDs)+len(exclude.Tags) == 0 {
		spec.Targets.Exclude = nil
	}
	for n := range spec.Recovery.Steps {
		obeyStep(&spec.Recovery.Steps[n])
	}
	obeyProcess(&spec.Process)
	obeyOutput(&spec.Output)
}

func obeyProcess(process *v1alpha1.ProcessSpec) {
	if process.SystemdUnit == "" {
		process.OnCleanStop = ""
	}
}

func obeyOutput(output *v1alpha1.OutputSpec) {
	if output.S3Bucket == "" {
		output.S3KeyPrefix = ""
	}
}

// mostParameters is how many characters the parameters of a document may have in all.
const mostParameters = 16384

func obeyStep(step *v1alpha1.RecoveryStep) {
	if step.Command == "" {
		step.WorkingDirectory = ""
	}
	if step.Reboot != nil {
		step.TimeoutSeconds = nil
	}
	size := 0
	for _, parameter := range ptr.Deref(step.Document, v1alpha1.DocumentStep{}).Parameters {
		size += len([]rune(strings.Join(parameter.Values, "")))
	}
	if size > mostParameters {
		step.Document.Parameters = nil
	}
}
