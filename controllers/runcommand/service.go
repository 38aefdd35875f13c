// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/clock"
)

// maxPages bounds what one listing may read: every node of a fleet of 100,000. An inventory is of no use if it lacks some, so it may
// be longer, but not endless.
const (
	maxPages          = 2000
	maxInventoryPages = 4000
)

// ssmService is a Service over the SDK.
type ssmService struct {
	api API
}

var _ Service = (*ssmService)(nil)

// NewService returns the Service over an SDK client, whose calls are made at once: those of Regions wait for the budget. The
// credentials are those of the client: they are fetched before a send, so that a failure to get any is not mistaken for a send
// whose answer was lost.
func NewService(api API, credentials aws.CredentialsProvider) Service {
	return &ssmService{&pacedAPI{
		api: api, budget: NewBudget(clock.RealClock{}, BudgetOptions{}), credentials: credentials, tries: 1,
	}}
}

func (s *ssmService) Send(ctx context.Context, send Send) (Command, error) {
	seconds := int32(max(send.DeliveryTimeout, MinDeliveryTimeout) / time.Second)
	in := &ssm.SendCommandInput{
		InstanceIds:        send.InstanceIDs,
		Targets:            targetsOf(send.Tags),
		DocumentName:       &send.Document,
		DocumentVersion:    optional(send.DocumentVersion),
		Parameters:         send.Parameters,
		Comment:            &send.Comment,
		TimeoutSeconds:     &seconds,
		OutputS3BucketName: optional(send.S3Bucket),
		OutputS3KeyPrefix:  optional(send.S3KeyPrefix),
		// The default for MaxErrors, 0, would let one failing node stop all others.
		MaxConcurrency: aws.String("100%"),
		MaxErrors:      aws.String("100%"),
	}
	if send.CloudWatchLogGroup != "" {
		in.CloudWatchOutputConfig = &types.CloudWatchOutputConfig{
			CloudWatchLogGroupName: &send.CloudWatchLogGroup, CloudWatchOutputEnabled: true,
		}
	}
	out, err := s.api.SendCommand(ctx, in, func(o *ssm.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		return Command{}, fmt.Errorf("sending command: %w", err)
	}
	if out.Command == nil {
		return Command{}, fmt.Errorf("sending command: the answer holds no command")
	}
	return commandFrom(*out.Command), nil
}

func (s *ssmService) Commands(ctx context.Context, f CommandFilter) iter.Seq2[Command, error] {
	in := &ssm.ListCommandsInput{
		CommandId: optional(f.ID), InstanceId: optional(f.InstanceID), MaxResults: aws.Int32(50), Filters: f.wire(),
	}
	if f.ID != "" {
		in.MaxResults = nil
	}
	pages := ssm.NewListCommandsPaginator(s.api, in, func(o *ssm.ListCommandsPaginatorOptions) { o.StopOnDuplicateToken = true })
	return listed(ctx, pages.HasMorePages, func(ctx context.Context) ([]Command, error) {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing commands: %w", err)
		}
		commands := make([]Command, len(page.Commands))
		for i := range page.Commands {
			commands[i] = commandFrom(page.Commands[i])
		}
		return commands, nil
	})
}

func (s *ssmService) Invocations(ctx context.Context, f InvocationFilter) iter.Seq2[Invocation, error] {
	pages := ssm.NewListCommandInvocationsPaginator(s.api, &ssm.ListCommandInvocationsInput{
		CommandId: optional(f.CommandID), Details: true, MaxResults: aws.Int32(50), Filters: f.wire(),
	}, func(o *ssm.ListCommandInvocationsPaginatorOptions) { o.StopOnDuplicateToken = true })
	return listed(ctx, pages.HasMorePages, func(ctx context.Context) ([]Invocation, error) {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing command invocations: %w", err)
		}
		invocations := make([]Invocation, len(page.CommandInvocations))
		for i := range page.CommandInvocations {
			invocations[i] = invocationFrom(&page.CommandInvocations[i])
		}
		return invocations, nil
	})
}

// listed is a list that is read page by page, as far as it is taken.
func listed[T any](
	ctx context.Context, more func() bool, next func(context.Context) ([]T, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		// A list may have any number of pages up to that; the same one twice is no progress.
		for n := 0; more() && n < maxPages; n++ {
			page, err := next(ctx)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

func (s *ssmService) Result(ctx context.Context, commandID, instanceID string) (Invocation, error) {
	out, err := s.api.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
		CommandId: &commandID, InstanceId: &instanceID,
	})
	if err != nil {
		return Invocation{}, fmt.Errorf("getting command invocation: %w", err)
	}
	return Invocation{
		CommandID:    commandID,
		InstanceID:   instanceID,
		Status:       parseStatus(aws.ToString(out.StatusDetails)),
		StatusText:   aws.ToString(out.StatusDetails),
		ResponseCode: int(out.ResponseCode),
		Output:       aws.ToString(out.StandardOutputContent),
	}, nil
}

func (s *ssmService) Cancel(ctx context.Context, commandID string, instanceIDs ...string) error {
	_, err := s.api.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: &commandID, InstanceIds: instanceIDs})
	if err != nil {
		return fmt.Errorf("cancelling command: %w", err)
	}
	return nil
}

func (s *ssmService) Nodes(ctx context.Context, f NodeFilter) ([]Node, error) {
	if len(f.InstanceIDs) == 0 {
		filters := make([]types.InstanceInformationStringFilter, 0, len(f.Tags))
		for _, tag := range f.Tags {
			filters = append(filters, types.InstanceInformationStringFilter{Key: aws.String("tag:" + tag.Key), Values: tag.Values})
		}
		return s.nodes(ctx, filters)
	}
	var nodes []Node
	for ids := range slices.Chunk(f.InstanceIDs, MaxInstanceIDs) {
		some, err := s.nodes(ctx, []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: ids}})
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, some...)
	}
	return nodes, nil
}

func (s *ssmService) nodes(ctx context.Context, filters []types.InstanceInformationStringFilter) ([]Node, error) {
	var nodes []Node
	pages := ssm.NewDescribeInstanceInformationPaginator(s.api, &ssm.DescribeInstanceInformationInput{
		Filters: filters, MaxResults: aws.Int32(50),
	}, func(o *ssm.DescribeInstanceInformationPaginatorOptions) {
		// The same page twice is no progress.
		o.StopOnDuplicateToken = true
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxInventoryPages {
			return nil, fmt.Errorf("describing instance information: no end after %d pages", n)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describing instance information: %w", err)
		}
		for i := range page.InstanceInformationList {
			info := &page.InstanceInformationList[i]
			nodes = append(nodes, Node{
				InstanceID: aws.ToString(info.InstanceId),
				Online:     info.PingStatus == types.PingStatusOnline,
				PingStatus: string(info.PingStatus),
				Platform:   string(info.PlatformType),
			})
		}
	}
	return nodes, nil
}

func commandFrom(c types.Command) Command {
	details := aws.ToString(c.StatusDetails)
	if details == "" {
		details = string(c.Status)
	}
	return Command{
		ID:               aws.ToString(c.CommandId),
		Comment:          aws.ToString(c.Comment),
		Status:           parseStatus(details),
		RequestTime:      aws.ToTime(c.RequestedDateTime),
		Targets:          int(c.TargetCount),
		Completed:        int(c.CompletedCount),
		Errors:           int(c.ErrorCount),
		DeliveryTimedOut: int(c.DeliveryTimedOutCount),
	}
}

func (f CommandFilter) wire() []types.CommandFilter {
	var filters []types.CommandFilter
	add := func(key types.CommandFilterKey, value string) {
		filters = append(filters, types.CommandFilter{Key: key, Value: &value})
	}
	if !f.After.IsZero() {
		add(types.CommandFilterKeyInvokedAfter, f.After.UTC().Format(time.RFC3339))
	}
	if !f.Before.IsZero() {
		add(types.CommandFilterKeyInvokedBefore, f.Before.UTC().Format(time.RFC3339))
	}
	if f.Executing {
		add(types.CommandFilterKeyExecutionStage, "Executing")
	}
	return filters
}

func (f InvocationFilter) wire() []types.CommandFilter {
	filters := CommandFilter{After: f.After}.wire()
	if f.Status != "" {
		filters = append(filters, types.CommandFilter{Key: types.CommandFilterKeyStatus, Value: aws.String(string(f.Status))})
	}
	return filters
}

func targetsOf(tags []Tag) []types.Target {
	var targets []types.Target
	for _, tag := range tags {
		targets = append(targets, types.Target{Key: aws.String("tag:" + tag.Key), Values: tag.Values})
	}
	return targets
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
