// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
)

const (
	defaultDelivery       = 3600
	defaultMaxConcurrency = "50"
	defaultMaxErrors      = "0"
)

// sendCommandRequest is the input of SendCommand, as far as it means something here.
type sendCommandRequest struct {
	InstanceIds            []string
	Targets                []target
	DocumentName           string
	DocumentVersion        string
	TimeoutSeconds         *int
	Comment                string
	Parameters             map[string][]string
	OutputS3BucketName     *string
	OutputS3KeyPrefix      *string
	MaxConcurrency         *string
	MaxErrors              *string
	CloudWatchOutputConfig *cloudWatchOutput
}

// target selects instances.
type target struct {
	Key    string
	Values []string
}

// cloudWatchOutput says where output goes besides. Nothing is sent there.
type cloudWatchOutput struct {
	CloudWatchLogGroupName  string
	CloudWatchOutputEnabled bool
}

// sendCommand accepts a command and begins to send it to its targets.
//
// It answers Pending with the number of InstanceIds as TargetCount. Targets are looked for after the answer, so that it has
// 0 for them.
func (s *Server) sendCommand(r *sendCommandRequest, f Fault) (any, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	if (len(r.InstanceIds) > 0) == (len(r.Targets) > 0) {
		return nil, errorf("ValidationException", "Exactly one of InstanceIds and Targets must be specified.")
	}
	p, err := s.program(r)
	if err != nil {
		return nil, err
	}
	instances, err := s.targets(r)
	if err != nil {
		return nil, err
	}
	c := s.newCommand(r, p, instances, f)
	answer := c.wire()
	answer.Status, answer.StatusDetails = pending.status(), pending.String()
	answer.TargetCount = len(r.InstanceIds)

	s.commands = append(s.commands, c)
	s.byID[c.id] = c
	if len(instances) > 0 {
		s.schedule(c.requested.Add(c.delivery), func() { s.expireDelivery(c) })
		s.schedule(c.expires, func() { s.expire(c) })
		s.ramp(c)
	}
	return map[string]wireCommand{"Command": answer}, nil
}

// newCommand is a command before anything of it is sent.
func (s *Server) newCommand(r *sendCommandRequest, p program, instances []*instance, f Fault) *command {
	s.sent++
	s.invocations += int64(len(instances))
	delivery := defaultDelivery
	if r.TimeoutSeconds != nil {
		delivery = *r.TimeoutSeconds
	}
	n := len(instances)
	concurrency := max(1, share(valueOr(r.MaxConcurrency, defaultMaxConcurrency), n))
	c := &command{
		id:             string(uuid.NewUUID()),
		seq:            s.sent,
		request:        r,
		program:        p,
		requested:      s.now,
		visible:        s.now.Add(s.readLag + f.Lag),
		delivery:       time.Duration(delivery) * time.Second,
		invocations:    make([]invocation, n),
		maxConcurrency: min(concurrency, max(1, n)),
		maxErrors:      share(valueOr(r.MaxErrors, defaultMaxErrors), n),
		rampState:      rampState{window: 1},

		undeliverableRan: f.UndeliverableRan,
	}
	c.expires = s.now.Add(c.delivery + p.timeout())
	c.count[pending] = n
	for i, target := range instances {
		c.invocations[i] = invocation{command: c, instance: target, code: noAnswer}
	}
	return c
}

// share is a number, or a percentage of n rounded down. The text was checked to be one of these.
func share(text string, n int) int {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		p, _ := strconv.Atoi(percent)
		return n * p / 100
	}
	number, _ := strconv.Atoi(text)
	return number
}

func valueOr(value *string, other string) string {
	if value == nil {
		return other
	}
	return *value
}

// wireCommand is a command as answers have it.
type wireCommand struct {
	CommandID              string `json:"CommandId"`
	DocumentName           string
	DocumentVersion        string
	Comment                string
	ExpiresAfter           timestamp
	Parameters             map[string][]string
	InstanceIds            []string
	Targets                []target
	RequestedDateTime      timestamp
	Status                 string
	StatusDetails          string
	OutputS3Region         string
	OutputS3BucketName     string
	OutputS3KeyPrefix      string
	MaxConcurrency         string
	MaxErrors              string
	TargetCount            int
	CompletedCount         int
	ErrorCount             int
	DeliveryTimedOutCount  int
	ServiceRole            string
	NotificationConfig     notification
	CloudWatchOutputConfig cloudWatchOutput
	TimeoutSeconds         int
	AlarmConfiguration     map[string][]string
	TriggeredAlarms        []string
}

// notification is empty: none are sent.
type notification struct {
	NotificationArn    string
	NotificationEvents []string
	NotificationType   string
}

func noNotification() notification {
	return notification{NotificationEvents: []string{}}
}

func (c *command) wire() wireCommand {
	r := c.request
	status, statusDetails := c.status()
	return wireCommand{
		CommandID:              c.id,
		DocumentName:           r.DocumentName,
		DocumentVersion:        cmp.Or(r.DocumentVersion, "$DEFAULT"),
		Comment:                r.Comment,
		ExpiresAfter:           timestamp(c.expires),
		Parameters:             r.Parameters,
		InstanceIds:            listOf(r.InstanceIds),
		Targets:                listOf(r.Targets),
		RequestedDateTime:      timestamp(c.requested),
		Status:                 status,
		StatusDetails:          statusDetails,
		OutputS3BucketName:     valueOr(r.OutputS3BucketName, ""),
		OutputS3KeyPrefix:      valueOr(r.OutputS3KeyPrefix, ""),
		MaxConcurrency:         valueOr(r.MaxConcurrency, defaultMaxConcurrency),
		MaxErrors:              valueOr(r.MaxErrors, defaultMaxErrors),
		TargetCount:            len(c.invocations),
		CompletedCount:         c.completed(),
		ErrorCount:             c.errors(),
		DeliveryTimedOutCount:  c.count[deliveryTimedOut],
		NotificationConfig:     noNotification(),
		CloudWatchOutputConfig: c.cloudWatch(),
		TimeoutSeconds:         int(c.delivery / time.Second),
		AlarmConfiguration:     map[string][]string{"Alarms": {}},
		TriggeredAlarms:        []string{},
	}
}

func (c *command) cloudWatch() cloudWatchOutput {
	if c.request.CloudWatchOutputConfig == nil {
		return cloudWatchOutput{}
	}
	return *c.request.CloudWatchOutputConfig
}

// listOf is a list that is sent as [] when it is empty.
func listOf[T any](list []T) []T {
	return slices.Concat([]T{}, list)
}
