// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

func TestDescribe(t *testing.T) {
	tests := map[string]struct {
		step v1alpha1.RecoveryStep
		want string
	}{
		"a command":      {commandStep, "systemctl start httpd"},
		"a long command": {v1alpha1.RecoveryStep{Command: v1alpha1.ShellCommand(strings.Repeat("x\n", 300))}, strings.Repeat("x", 200) + "..."},
		"a document":     {documentStep, "document restart-web"},
		"a reboot":       {rebootStep, "reboot"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(describe(test.step)).To(Equal(test.want))
		})
	}
}
