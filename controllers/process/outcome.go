// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// consistent tells whether the lines can follow from each other.
func (r *Report) consistent() error {
	down := r.Before != nil && r.Before.Health == v1alpha1.HealthUnhealthy
	switch {
	case (r.reached(PhaseActed) || r.reached(PhaseVerified)) && !r.Acted:
		return errors.New("reading the report: the step ended but never began")
	case (r.Acted || r.Result == ResultCleared) && !down:
		return errors.New("reading the report: the step began but the process was not found down")
	case !r.reached(PhaseDone):
		return nil
	case !reasonForm.MatchString(r.Reason) || !r.follows():
		return fmt.Errorf("reading the report: the result %q (%q) does not follow from the other lines", r.Result, r.Reason)
	}
	return nil
}

// outcome is what the other lines say when the script prints a result.
type outcome struct {
	// acted tells that the step began, ended that its end and the look after it were seen, and healthy what the last look
	// found.
	acted, ended, healthy bool
	exit                  func(code *int32) bool
}

var outcomes = map[v1alpha1.Result]outcome{
	v1alpha1.ResultRecovered:   {acted: true, ended: true, healthy: true, exit: func(*int32) bool { return true }},
	v1alpha1.ResultIneffective: {acted: true, ended: true, exit: func(code *int32) bool { return code != nil && *code == 0 }},
	v1alpha1.ResultFailed:      {acted: true, ended: true, exit: func(code *int32) bool { return code != nil && *code != 0 }},
	v1alpha1.ResultTimedOut:    {acted: true, ended: true, exit: noExit},
	ResultRebooting:            {acted: true, exit: noExit},
	ResultCleared:              {exit: noExit},
	v1alpha1.ResultNotNeeded:   {healthy: true, exit: noExit},
	v1alpha1.ResultWithheld:    {exit: noExit},
}

func noExit(code *int32) bool {
	return code == nil
}

func (r *Report) follows() bool {
	o, ok := outcomes[r.Result]
	if !ok || o.acted != r.Acted || !o.exit(r.ExitCode) {
		return false
	}
	if o.ended != r.reached(PhaseActed) || o.ended != (r.After != nil) {
		return false
	}
	last := r.Before
	if r.reached(PhaseEvidence) && last == nil {
		return false
	}
	if o.ended {
		last = r.After
	}
	return o.healthy == (last != nil && last.Health == v1alpha1.HealthHealthy)
}
