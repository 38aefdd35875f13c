// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

// maxPage is the size of a page of commands or invocations, by default and at most.
const maxPage = 50

// listRequest is what ListCommands and ListCommandInvocations have in common.
type listRequest struct {
	CommandID  string `json:"CommandId"`
	InstanceID string `json:"InstanceId"`
	Filters    []filter
	MaxResults *int
	NextToken  string
}

func (r *listRequest) validate() error {
	var v violations
	v.between("maxResults", r.MaxResults, 1, maxPage)
	if r.CommandID != "" {
		v.commandID(r.CommandID)
	}
	if r.InstanceID != "" {
		v.instance("instanceId", r.InstanceID)
	}
	return v.err()
}

type listCommandsAnswer struct {
	Commands  []wireCommand
	NextToken string
}

// listCommands lists commands with their counts, the newest first.
func (s *Server) listCommands(r *listRequest, f Fault) (any, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	sel, err := parseFilters(r.Filters, commandStatuses,
		"InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName")
	if err != nil {
		return nil, err
	}
	if r.InstanceID != "" && sel.status == "Pending" {
		return nil, errorf("ValidationException", "InstanceID cannot be combined with the Status filter Pending: "+
			"such commands have not reached the instance yet.")
	}
	from, err := parsePosition(r.NextToken)
	if err != nil {
		return nil, err
	}
	answer := listCommandsAnswer{Commands: []wireCommand{}}
	for c := range s.walk(r.CommandID, sel, from, f.Reverse) {
		if c.seq == from.seq || !sel.listed(c, r.InstanceID) {
			continue
		}
		if len(answer.Commands) == pageSize(r.MaxResults, maxPage) {
			answer.NextToken = from.token()
			break
		}
		answer.Commands = append(answer.Commands, c.wire())
		from = position{seq: c.seq}
	}
	return answer, nil
}

// listed says whether a command belongs into a list of commands. One that has not reached an instance yet is not among the
// commands of that instance.
func (sel *selection) listed(c *command, instanceID string) bool {
	if instanceID != "" {
		if i := c.find(instanceID); i == nil || i.details == pending {
			return false
		}
	}
	return sel.command(c) && sel.matches(c.status())
}
