// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// callTimeout bounds a call that may be made again, and sendTimeout the one attempt of a send. Waiting for the budget does not
// count.
const (
	callTimeout = 15 * time.Second
	sendTimeout = 10 * time.Second
)

// defaultTries is how often a call that changes nothing is tried that AWS throttles or fails, unless the AWS configuration says
// otherwise (AWS_MAX_ATTEMPTS).
const defaultTries = 3

// retryPause is how long after AWS failed a call it is tried again; twice as long the next time. After a refusal because of the
// rate the budget makes the pause.
const retryPause = 500 * time.Millisecond

// pacedAPI makes the calls of an API as the budget allows: each page and each retry is a call. The SDK's own retries would be
// calls that nobody counts, on a clock that is not ours, so they are to be switched off.
type pacedAPI struct {
	api      API
	location Location
	budget   *Budget
	// credentials are those of the API, when they are to be fetched before a send.
	credentials aws.CredentialsProvider
	tries       int
}

var _ API = (*pacedAPI)(nil)

// operation is one of the SDK's calls.
type operation[I, O any] func(context.Context, I, ...func(*ssm.Options)) (O, error)

// SendCommand implements API, and is never tried again. The credentials are fetched first, so that a failure to get any is not
// mistaken for a send whose answer was lost.
func (p *pacedAPI) SendCommand(
	ctx context.Context, in *ssm.SendCommandInput, options ...func(*ssm.Options),
) (*ssm.SendCommandOutput, error) {
	if err := p.budget.Wait(ctx, priorityOf(ctx)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if p.credentials != nil {
		if _, err := p.credentials.Retrieve(ctx); err != nil {
			return nil, &credentialsError{err}
		}
	}
	return once(ctx, p, "SendCommand", p.api.SendCommand, in, options)
}

// ListCommands implements API.
func (p *pacedAPI) ListCommands(
	ctx context.Context, in *ssm.ListCommandsInput, options ...func(*ssm.Options),
) (*ssm.ListCommandsOutput, error) {
	return repeatedly(ctx, p, "ListCommands", p.api.ListCommands, in, options)
}

// ListCommandInvocations implements API.
func (p *pacedAPI) ListCommandInvocations(
	ctx context.Context, in *ssm.ListCommandInvocationsInput, options ...func(*ssm.Options),
) (*ssm.ListCommandInvocationsOutput, error) {
	return repeatedly(ctx, p, "ListCommandInvocations", p.api.ListCommandInvocations, in, options)
}

// GetCommandInvocation implements API.
func (p *pacedAPI) GetCommandInvocation(
	ctx context.Context, in *ssm.GetCommandInvocationInput, options ...func(*ssm.Options),
) (*ssm.GetCommandInvocationOutput, error) {
	return repeatedly(ctx, p, "GetCommandInvocation", p.api.GetCommandInvocation, in, options)
}

// CancelCommand implements API. To cancel twice is to cancel.
func (p *pacedAPI) CancelCommand(
	ctx context.Context, in *ssm.CancelCommandInput, options ...func(*ssm.Options),
) (*ssm.CancelCommandOutput, error) {
	return repeatedly(ctx, p, "CancelCommand", p.api.CancelCommand, in, options)
}

// DescribeInstanceInformation implements API.
func (p *pacedAPI) DescribeInstanceInformation(
	ctx context.Context, in *ssm.DescribeInstanceInformationInput, options ...func(*ssm.Options),
) (*ssm.DescribeInstanceInformationOutput, error) {
	return repeatedly(ctx, p, "DescribeInstanceInformation", p.api.DescribeInstanceInformation, in, options)
}

// once makes a call that the budget has allowed.
func once[I, O any](
	ctx context.Context, p *pacedAPI, name string, do operation[I, O], in I, options []func(*ssm.Options),
) (O, error) {
	call := p.budget.begin()
	out, err := do(ctx, in, options...)
	outcome := outcomeOf(err)
	p.budget.end(call, outcome)
	p.budget.meter.Called(p.location, name, outcome)
	return out, err
}

// repeatedly makes a call that may be made any number of times, until it succeeds or there is no use in trying.
func repeatedly[I, O any](
	ctx context.Context, p *pacedAPI, name string, do operation[I, O], in I, options []func(*ssm.Options),
) (O, error) {
	for try := 1; ; try++ {
		if err := p.budget.Wait(ctx, priorityOf(ctx)); err != nil {
			var none O
			return none, err
		}
		calling, cancel := context.WithTimeout(ctx, callTimeout)
		out, err := once(calling, p, name, do, in, options)
		cancel()
		if err == nil || try == p.tries || !p.mayPass(ctx, err, try) {
			return out, err
		}
	}
}

// mayPass reports whether another try may succeed, after a pause where one is needed. AWS is not waited for twice when it does not
// answer at all: whoever reads has others to read.
func (p *pacedAPI) mayPass(ctx context.Context, err error, try int) bool {
	switch class := Classify(err); {
	case class == Throttled:
		return true
	case class == Unavailable && !errors.Is(err, context.DeadlineExceeded):
		return sleep(ctx, p.budget.clock, retryPause<<(try-1))
	default:
		return false
	}
}
