// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"k8s.io/utils/clock"
)

// Region is Run Command in one location: how to send, and who reads.
type Region struct {
	Location
	Service
	*Tracker
	// Budget is what all calls of the Service wait for.
	Budget *Budget

	wake chan struct{}
}

// Regions holds the Regions that are in use, one for each location, so that all policies of a location share one client
// and one Tracker. It is a Runnable of the manager, which owns the goroutines.
type Regions struct {
	config  aws.Config
	clock   clock.WithTicker
	options BudgetOptions

	mu         sync.Mutex
	account    string
	accountErr error
	regions    map[Location]*Region
	created    chan *Region
	// locate asks for the account, by a region to ask in.
	locate chan string
}

// NewRegions returns the Regions over the given AWS configuration, whose region is the default. Each has a budget of its own.
func NewRegions(config aws.Config, clk clock.WithTicker, budget BudgetOptions) *Regions {
	return &Regions{
		config: config, clock: clk, options: budget, accountErr: &LocatingError{}, regions: map[Location]*Region{},
		created: make(chan *Region, 64), locate: make(chan string, 1),
	}
}

// NoRegionError means that neither the policy nor the controller names a region.
type NoRegionError struct{}

func (*NoRegionError) Error() string {
	return "no region: set spec.region, or AWS_REGION for the controller"
}

// LocatingError means that the account is just being found out, and is to be asked for again in a moment.
type LocatingError struct{}

func (*LocatingError) Error() string { return "finding out the AWS account" }

// Locate resolves the location of a policy: the region it names, or our own, and the account whose credentials we have. It
// does not wait for AWS: until the account is known the error is a LocatingError, or why it cannot be found out.
func (r *Regions) Locate(region string) (Location, error) {
	location := Location{Region: cmp.Or(region, r.config.Region)}
	if location.Region == "" {
		return location, &NoRegionError{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.account == "" {
		select {
		case r.locate <- location.Region:
		default: // It is being found out.
		}
		return location, r.accountErr
	}
	location.Account = r.account
	return location, nil
}

// FindAccount asks AWS whose credentials we have, once it is answered for good. Any region will do.
func (r *Regions) FindAccount(ctx context.Context, region string) error {
	r.mu.Lock()
	known := r.account != ""
	r.mu.Unlock()
	if known {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	identity, err := sts.NewFromConfig(r.config, func(o *sts.Options) { o.Region = region }).
		GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.accountErr = fmt.Errorf("getting caller identity: %w", err)
		return r.accountErr
	}
	r.account = aws.ToString(identity.Account)
	return nil
}

// findAccounts finds out the account when somebody asks for it.
func (r *Regions) findAccounts(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case region := <-r.locate:
			if r.FindAccount(ctx, region) != nil && !sleep(ctx, r.clock, accountRetry) {
				return
			}
		}
	}
}

// accountRetry is how long after AWS did not tell the account it is asked again.
const accountRetry = 15 * time.Second

// Get returns the Region of a location.
func (r *Regions) Get(location Location) *Region {
	r.mu.Lock()
	region, known := r.regions[location]
	if !known {
		region = r.newRegion(location)
		r.regions[location] = region
	}
	r.mu.Unlock()
	if !known {
		r.created <- region
	}
	return region
}

func (r *Regions) newRegion(location Location) *Region {
	client := ssm.NewFromConfig(r.config, func(o *ssm.Options) {
		o.Region = location.Region
		o.HTTPClient = plainBodyClient{o.HTTPClient}
		o.Retryer = aws.NopRetryer{}
	})
	budget := NewBudget(r.clock, r.options)
	service := &ssmService{&pacedAPI{
		api: client, location: location, budget: budget, credentials: r.config.Credentials,
		tries: cmp.Or(r.config.RetryMaxAttempts, defaultTries),
	}}
	region := &Region{Location: location, Service: service, Budget: budget, wake: make(chan struct{}, 1)}
	region.Tracker = NewTracker(service, r.clock, func() {
		select {
		case region.wake <- struct{}{}:
		default: // Somebody has woken it already.
		}
	})
	return region
}

// Budgets tells how the budget of each location stands.
func (r *Regions) Budgets() map[Location]BudgetState {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := make(map[Location]BudgetState, len(r.regions))
	for location, region := range r.regions {
		states[location] = region.Budget.State()
	}
	return states
}

// Start finds out the account and reads the commands in flight of every region, until the context ends.
func (r *Regions) Start(ctx context.Context) error {
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { r.findAccounts(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case region := <-r.created:
			loops.Go(func() { region.loop(ctx, r.clock) })
		}
	}
}

// loop steps the tracker as often as it wants.
func (r *Region) loop(ctx context.Context, clk clock.WithTicker) {
	for ctx.Err() == nil {
		wait := r.Wait()
		if wait == 0 {
			select {
			case <-ctx.Done():
			case <-r.wake:
			}
			continue
		}
		timer := clk.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.wake: // Something may be due earlier.
		case <-timer.C():
			r.Step(ctx)
		}
		timer.Stop()
	}
}

// sleep waits, and reports whether the wait was not ended by the context.
func sleep(ctx context.Context, clk clock.WithTicker, d time.Duration) bool {
	timer := clk.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
