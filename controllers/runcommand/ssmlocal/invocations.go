// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"iter"
	"time"
)

type listInvocationsRequest struct {
	listRequest
	Details bool
}

type listInvocationsAnswer struct {
	CommandInvocations []wireInvocation
	NextToken          string
}

// wireInvocation is an invocation as ListCommandInvocations has it.
type wireInvocation struct {
	CommandID              string `json:"CommandId"`
	InstanceID             string `json:"InstanceId"`
	InstanceName           string
	Comment                string
	DocumentName           string
	DocumentVersion        string
	RequestedDateTime      timestamp
	Status                 string
	StatusDetails          string
	TraceOutput            string
	StandardOutputURL      string `json:"StandardOutputUrl"`
	StandardErrorURL       string `json:"StandardErrorUrl"`
	CommandPlugins         []wirePlugin
	ServiceRole            string
	NotificationConfig     notification
	CloudWatchOutputConfig cloudWatchOutput
}

// wirePlugin is what a step of the document did.
type wirePlugin struct {
	Name                   string
	Status                 string
	StatusDetails          string
	ResponseCode           int
	ResponseStartDateTime  *timestamp `json:",omitempty"`
	ResponseFinishDateTime *timestamp `json:",omitempty"`
	Output                 string
	StandardOutputURL      string `json:"StandardOutputUrl"`
	StandardErrorURL       string `json:"StandardErrorUrl"`
	OutputS3Region         string
	OutputS3BucketName     string
	OutputS3KeyPrefix      string
}

// listCommandInvocations lists invocations, those of the newest command first.
func (s *Server) listCommandInvocations(r *listInvocationsRequest, f Fault) (any, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	sel, err := parseFilters(r.Filters, invocationStatuses, "InvokedAfter", "InvokedBefore", "Status", "DocumentName")
	if err != nil {
		return nil, err
	}
	from, err := parsePosition(r.NextToken)
	if err != nil {
		return nil, err
	}
	limit := pageSize(r.MaxResults, maxPage)
	answer := listInvocationsAnswer{CommandInvocations: []wireInvocation{}}
	for c := range s.walk(r.CommandID, sel, from, f.Reverse) {
		if !sel.command(c) {
			continue
		}
		first := 0
		if c.seq == from.seq {
			first = from.index + 1
		}
		for index, i := range c.selected(sel, r.InstanceID, first) {
			if len(answer.CommandInvocations) == limit {
				answer.NextToken = from.token()
				return answer, nil
			}
			answer.CommandInvocations = append(answer.CommandInvocations, i.wire(r.Details))
			from = position{seq: c.seq, index: index}
		}
	}
	return answer, nil
}

// selected walks the invocations of a command from an index on that are selected by status and instance.
func (c *command) selected(sel selection, instanceID string, first int) iter.Seq2[int, *invocation] {
	last := len(c.invocations)
	if instanceID != "" {
		at, found := c.search(instanceID)
		if !found {
			last = 0
		} else {
			first, last = max(first, at), at+1
		}
	}
	return func(yield func(int, *invocation) bool) {
		for index := first; index < last; index++ {
			i := &c.invocations[index]
			if sel.matches(i.details.status(), i.details.String()) && !yield(index, i) {
				return
			}
		}
	}
}

func (i *invocation) wire(withPlugins bool) wireInvocation {
	c := i.command
	w := wireInvocation{
		CommandID:              c.id,
		InstanceID:             i.instance.ID,
		InstanceName:           i.instance.ComputerName,
		Comment:                c.request.Comment,
		DocumentName:           c.request.DocumentName,
		DocumentVersion:        cmp.Or(c.request.DocumentVersion, "$DEFAULT"),
		RequestedDateTime:      timestamp(c.requested),
		Status:                 i.details.status(),
		StatusDetails:          i.details.String(),
		CommandPlugins:         []wirePlugin{},
		NotificationConfig:     noNotification(),
		CloudWatchOutputConfig: c.cloudWatch(),
	}
	if withPlugins {
		for n := range c.program.steps {
			w.CommandPlugins = append(w.CommandPlugins, i.plugin(n))
		}
	}
	return w
}

func (i *invocation) plugin(n int) wirePlugin {
	step := i.step(n)
	return wirePlugin{
		Name:                   i.command.program.steps[n].name,
		Status:                 step.details.status(),
		StatusDetails:          step.details.String(),
		ResponseCode:           step.code,
		ResponseStartDateTime:  whenSet(step.start),
		ResponseFinishDateTime: whenSet(step.end),
		Output:                 merged(step.stdout, step.stderr),
		OutputS3BucketName:     valueOr(i.command.request.OutputS3BucketName, ""),
		OutputS3KeyPrefix:      valueOr(i.command.request.OutputS3KeyPrefix, ""),
	}
}

func whenSet(t time.Time) *timestamp {
	if t.IsZero() {
		return nil
	}
	stamp := timestamp(t)
	return &stamp
}
