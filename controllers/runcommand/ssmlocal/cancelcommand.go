// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"slices"
	"strings"
)

// cancelledBeforeStart is the response code of an invocation that was cancelled before its node had it.
const cancelledBeforeStart = 1

type cancelRequest struct {
	CommandID   string `json:"CommandId"`
	InstanceIds []string
}

// cancelCommand asks for a command to end, on all or some of its instances. It is best effort:
//
//   - what has not reached its node never will;
//   - what runs is killed;
//   - what waits in an agent's queue stays Cancelling, because the agent drops it without an answer. It runs when the agent
//     restarts (StartAgent);
//   - an agent that is stopped does not hear of it.
func (s *Server) cancelCommand(r *cancelRequest, _ Fault) (any, error) {
	var v violations
	v.commandID(r.CommandID)
	size(&v, "instanceIds", r.InstanceIds, 0, 50)
	for _, id := range r.InstanceIds {
		v.instance("instanceIds", id)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	c := s.byID[r.CommandID]
	if c == nil {
		return nil, errorf("InvalidCommandId", "The specified command ID %s isn't valid.", r.CommandID)
	}
	if err := c.checkNamed(r.InstanceIds); err != nil {
		return nil, err
	}
	for index := range c.invocations {
		i := &c.invocations[index]
		if len(r.InstanceIds) == 0 || slices.Contains(r.InstanceIds, i.instance.ID) {
			s.cancel(i)
		}
	}
	return struct{}{}, nil
}

// checkNamed refuses instances that the command was not sent to.
func (c *command) checkNamed(ids []string) error {
	var bad []string
	for _, id := range ids {
		if c.find(id) == nil {
			bad = append(bad, id)
		}
	}
	if len(bad) > 0 {
		return errorf("InvalidInstanceId", "The command was not sent to instances [%s].", strings.Join(bad, ", "))
	}
	return nil
}

func (s *Server) cancel(i *invocation) {
	switch i.details {
	case pending:
		s.finish(i, cancelled, cancelledBeforeStart)
	case inProgress:
		j := i.job
		i.set(cancelling)
		if j.instance.stopped || j.instance.drop(j, s.now.Add(-s.retention)) {
			return
		}
		j.cancelled = true
		if j.cancel != nil {
			j.cancel()
		}
	default:
	}
}
