// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

type getInvocationRequest struct {
	CommandID  string `json:"CommandId"`
	InstanceID string `json:"InstanceId"`
	PluginName string
}

// getInvocationAnswer has its times as text, unlike all the others.
type getInvocationAnswer struct {
	CommandID              string `json:"CommandId"`
	InstanceID             string `json:"InstanceId"`
	Comment                string
	DocumentName           string
	DocumentVersion        string
	PluginName             string
	ResponseCode           int
	ExecutionStartDateTime string
	ExecutionElapsedTime   string
	ExecutionEndDateTime   string
	Status                 string
	StatusDetails          string
	StandardOutputContent  string
	StandardOutputURL      string `json:"StandardOutputUrl"`
	StandardErrorContent   string
	StandardErrorURL       string `json:"StandardErrorUrl"`
	CloudWatchOutputConfig cloudWatchOutput
}

// getCommandInvocation tells all about one step of an invocation. When a document has several and none is named, it tells
// the status of them together, and neither code, times nor output.
func (s *Server) getCommandInvocation(r *getInvocationRequest, _ Fault) (any, error) {
	var v violations
	v.commandID(r.CommandID)
	v.instance("instanceId", r.InstanceID)
	if err := v.err(); err != nil {
		return nil, err
	}
	c := s.byID[r.CommandID]
	if c == nil || c.visible.After(s.now) || c.find(r.InstanceID) == nil {
		return nil, errorf("InvocationDoesNotExist", "An error occurred (InvocationDoesNotExist)")
	}
	i := c.find(r.InstanceID)
	step, name, err := i.asked(r.PluginName)
	if err != nil {
		return nil, err
	}
	start, elapsed, end := step.times()
	return getInvocationAnswer{
		CommandID:              c.id,
		InstanceID:             i.instance.ID,
		Comment:                c.request.Comment,
		DocumentName:           c.request.DocumentName,
		DocumentVersion:        cmp.Or(c.request.DocumentVersion, "$DEFAULT"),
		PluginName:             name,
		ResponseCode:           step.code,
		ExecutionStartDateTime: start,
		ExecutionElapsedTime:   elapsed,
		ExecutionEndDateTime:   end,
		Status:                 step.details.status(),
		StatusDetails:          step.details.String(),
		StandardOutputContent:  step.stdout,
		StandardErrorContent:   step.stderr,
		CloudWatchOutputConfig: c.cloudWatch(),
	}, nil
}

// asked is the step of a name, and what stands for all of them when none is named.
func (i *invocation) asked(name string) (result, string, error) {
	steps := i.command.program.steps
	if name == "" && len(steps) > 1 {
		return result{details: i.details, code: noAnswer}, "", nil
	}
	n := 0
	if name != "" {
		n = slices.IndexFunc(steps, func(step scriptStep) bool { return step.name == name })
	}
	if n < 0 {
		return result{}, "", errorf("InvalidPluginName", "The plugin name %s isn't valid.", name)
	}
	return i.step(n), steps[n].name, nil
}

// times are ISO 8601, empty as long as they are not known.
func (r *result) times() (start, elapsed, end string) {
	const format = "2006-01-02T15:04:05.000Z"
	if !r.start.IsZero() {
		start = r.start.UTC().Format(format)
	}
	if !r.end.IsZero() {
		end = r.end.UTC().Format(format)
		elapsed = fmt.Sprintf("PT%sS", strconv.FormatFloat(r.end.Sub(r.start).Round(time.Millisecond).Seconds(), 'f', -1, 64))
	}
	return start, elapsed, end
}
