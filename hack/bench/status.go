// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// mostStatus is how large a policy may be, in KB.
const mostStatus = 100

// statusSize measures the policies as they are stored, and what their status lists and counts.
func statusSize(ctx context.Context, r *run) error {
	policies, err := r.policies(ctx)
	if err != nil {
		return err
	}
	for i := range policies {
		text, err := json.Marshal(&policies[i])
		if err != nil {
			return fmt.Errorf("encoding a policy: %w", err)
		}
		r.result.atMost("size of the policy", float64(len(text))/1000, mostStatus, "KB", counted)
		sum := 0
		for _, reason := range policies[i].Status.Summary {
			sum += int(reason.Count)
		}
		listed := len(policies[i].Status.Instances)
		r.result.tell("instances that are listed, and that are only counted", "%d, %s", listed, figure(float64(sum-listed)))
		r.result.mustBe("every instance is counted", sum == r.row.nodes, figure(float64(sum)), counted)
	}
	remediations, err := r.remediations(ctx)
	r.result.mustBe("nothing was touched", len(remediations) == 0, fmt.Sprintf("%d Remediations", len(remediations)), counted)
	return err
}
