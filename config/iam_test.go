// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

// actions is one action or a list of them, as IAM takes both.
type actions []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *actions) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = actions{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// TestTheRoleMayDoWhatTheCodeCalls compares the IAM policy with the calls of the SDK that there are.
func TestTheRoleMayDoWhatTheCodeCalls(t *testing.T) {
	g := NewWithT(t)
	text, err := os.ReadFile("iam/controller-policy.json")
	g.Expect(err).NotTo(HaveOccurred())
	var policy struct {
		Statement []struct{ Action actions }
	}
	g.Expect(json.Unmarshal(text, &policy)).To(Succeed())
	granted := map[string]bool{}
	for _, statement := range policy.Statement {
		for _, action := range statement.Action {
			granted[action] = true
		}
	}
	called := map[string]bool{}
	for method := range reflect.TypeFor[runcommand.API]().Methods() {
		called["ssm:"+method.Name] = true
	}
	g.Expect(granted).To(Equal(called))
}
