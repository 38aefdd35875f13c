// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"fmt"
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

// getCommandInvocation tells all about one invocation.
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
	if r.PluginName != "" && r.PluginName != pluginName {
		return nil, errorf("InvalidPluginName", "The plugin name %s isn't valid.", r.PluginName)
	}
	i := c.find(r.InstanceID)
	start, elapsed, end := i.times()
	return getInvocationAnswer{
		CommandID:              c.id,
		InstanceID:             i.instance.ID,
		Comment:                c.request.Comment,
		DocumentName:           c.request.DocumentName,
		DocumentVersion:        cmp.Or(c.request.DocumentVersion, "$DEFAULT"),
		PluginName:             pluginName,
		ResponseCode:           i.code,
		ExecutionStartDateTime: start,
		ExecutionElapsedTime:   elapsed,
		ExecutionEndDateTime:   end,
		Status:                 i.details.status(),
		StatusDetails:          i.details.String(),
		StandardOutputContent:  i.stdout,
		StandardErrorContent:   i.stderr,
		CloudWatchOutputConfig: c.cloudWatch(),
	}, nil
}

// times are ISO 8601, empty as long as they are not known.
func (i *invocation) times() (start, elapsed, end string) {
	const format = "2006-01-02T15:04:05.000Z"
	if !i.start.IsZero() {
		start = i.start.UTC().Format(format)
	}
	if !i.end.IsZero() {
		end = i.end.UTC().Format(format)
		elapsed = fmt.Sprintf("PT%sS", strconv.FormatFloat(i.end.Sub(i.start).Round(time.Millisecond).Seconds(), 'f', -1, 64))
	}
	return start, elapsed, end
}
