// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

func TestErrorsOfASend(t *testing.T) {
	tests := map[string]struct {
		fault        ssmlocal.Fault
		wantClass    Class
		wantAccepted bool
		wantRuns     int
	}{
		"throttled":             {ssmlocal.Fault{Code: "ThrottlingException"}, Throttled, false, 0},
		"denied":                {ssmlocal.Fault{Code: "AccessDeniedException"}, Denied, false, 0},
		"expired credentials":   {ssmlocal.Fault{Code: "ExpiredTokenException"}, Denied, false, 0},
		"no such instance":      {ssmlocal.Fault{Code: "InvalidInstanceId"}, InvalidInstance, false, 0},
		"invalid":               {ssmlocal.Fault{Code: "ValidationException"}, Invalid, false, 0},
		"no such document":      {ssmlocal.Fault{Code: "InvalidDocument"}, Invalid, false, 0},
		"no such version":       {ssmlocal.Fault{Code: "InvalidDocumentVersion"}, Invalid, false, 0},
		"parameters":            {ssmlocal.Fault{Code: "InvalidParameters"}, Invalid, false, 0},
		"too large":             {ssmlocal.Fault{Code: "MaxDocumentSizeExceeded"}, Invalid, false, 0},
		"output folder":         {ssmlocal.Fault{Code: "InvalidOutputFolder"}, Invalid, false, 0},
		"role":                  {ssmlocal.Fault{Code: "InvalidRole"}, Invalid, false, 0},
		"notification":          {ssmlocal.Fault{Code: "InvalidNotificationConfig"}, Invalid, false, 0},
		"repeated instance":     {ssmlocal.Fault{Code: "DuplicateInstanceId"}, Invalid, false, 0},
		"other platform":        {ssmlocal.Fault{Code: "UnsupportedPlatformType"}, InvalidInstance, false, 0},
		"a refusal of no known": {ssmlocal.Fault{Code: "SomethingNew"}, Invalid, true, 0},
		"forbidden in general":  {ssmlocal.Fault{Code: "SomethingNew", HTTPStatus: 403}, Denied, true, 0},
		"an internal error": {
			ssmlocal.Fault{Code: "InternalServerError", HTTPStatus: 500}, Unavailable, true, 0,
		},
		"unavailable":        {ssmlocal.Fault{Code: "ServiceUnavailable", HTTPStatus: 503}, Unavailable, true, 0},
		"no connection":      {ssmlocal.Fault{DropBefore: true}, Unavailable, true, 0},
		"the answer is lost": {ssmlocal.Fault{DropAfter: true}, Unavailable, true, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.server.SetFaults(func(ssmlocal.Call) ssmlocal.Fault { return test.fault })
			send := ShellScript("true", 0)
			send.InstanceIDs = []string{id(0)}
			_, err := w.region.Send(t.Context(), send)
			w.Expect(err).To(HaveOccurred())
			w.Expect(Classify(err)).To(Equal(test.wantClass))
			w.Expect(MayBeAccepted(err)).To(Equal(test.wantAccepted))
			w.Expect(w.server.Calls()["SendCommand"]).To(Equal(1), "a send is never retried")
			w.Expect(w.server.Ledger()).To(HaveLen(test.wantRuns))
		})
	}
}

func TestASendWithoutCredentialsIsRefusedForSure(t *testing.T) {
	g := NewWithT(t)
	service := NewService(nil, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no EC2 IMDS role found")
	}))
	_, err := service.Send(t.Context(), Send{})
	g.Expect(Classify(err)).To(Equal(Denied))
	g.Expect(MayBeAccepted(err)).To(BeFalse())
}

func TestInvalidInstances(t *testing.T) {
	err := errors.New("InvalidInstanceId: Instances [[i-0a1b2c3d4e5f60718, mi-0a1b2c3d4e5f60718]] not in a valid state for account 1")
	NewWithT(t).Expect(InvalidInstances(err)).To(Equal([]string{"i-0a1b2c3d4e5f60718", "mi-0a1b2c3d4e5f60718"}))
}

func TestWordsAreThoseOfAWS(t *testing.T) {
	w := newWorld(t, 1)
	w.server.SetFaults(func(ssmlocal.Call) ssmlocal.Fault {
		return ssmlocal.Fault{Code: "AccessDeniedException", Message: "User: arn is not authorized\nto perform: ssm:ListCommands"}
	})
	_, err := whole(w.region.Commands(t.Context(), CommandFilter{}))
	w.Expect(Words(err)).To(Equal("AccessDeniedException: User: arn is not authorized to perform: ssm:ListCommands"))
	w.Expect(len(Words(fmt.Errorf("%s", strings.Repeat("x", 1000))))).To(BeNumerically("<=", 303))
	w.Expect(Words(fmt.Errorf("sending: %w", context.DeadlineExceeded))).To(Equal("no answer in time"))
}
