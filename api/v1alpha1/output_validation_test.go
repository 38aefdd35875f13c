// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"
)

const (
	keeps       = `supported values: "Always", "OnFailure", "Never"`
	badLogGroup = "must be the name of a log group: letters, digits and any of _-/.#"
	badBucket   = "must be the name of an S3 bucket: lower-case letters, digits, dots and hyphens"
	noBucket    = "s3KeyPrefix goes with s3Bucket; remove it or set s3Bucket"
)

// output is the merge patch that gives a policy this output.
func output(fields string) string { return `{"spec":{"output":` + fields + `}}` }

func TestOutputsAccepted(t *testing.T) {
	acceptAll(t, policy, map[string]string{
		"always":     output(`{"keep":"Always"}`),
		"on failure": output(`{"keep":"OnFailure"}`),
		"never":      output(`{"keep":"Never"}`),
		"everywhere": output(`{"keep":"Always","cloudWatchLogGroup":"/ssm-remediator/web","s3Bucket":"acme-logs","s3KeyPrefix":"web/httpd"}`),

		"a log group of a letter": output(`{"cloudWatchLogGroup":"a"}`),
		"a log group of 512":      output(`{"cloudWatchLogGroup":` + quoted(512) + `}`),
		"all characters of it":    output(`{"cloudWatchLogGroup":"/Web_1-a.b#c"}`),
		"a bucket of 3":           output(`{"s3Bucket":"a.1"}`),
		"a bucket of 63":          output(`{"s3Bucket":` + quoted(63) + `}`),
		"a bucket of digits":      output(`{"s3Bucket":"0-logs.acme-9"}`),
		"a prefix of a letter":    output(`{"s3Bucket":"acme-logs","s3KeyPrefix":"a"}`),
		"a prefix of 500":         output(`{"s3Bucket":"acme-logs","s3KeyPrefix":` + quoted(500) + `}`),
	})
}

var rejectedOutputs = map[string]refusal{
	"an unknown field": {output(`{"bucket":"acme-logs"}`), "", `unknown field "spec.output.bucket"`},
	"kept sometimes":   {output(`{"keep":"Sometimes"}`), "spec.output.keep", keeps},
	"kept as a switch": {output(`{"keep":true}`), "spec.output.keep", "must be of type string"},

	"an empty log group":    {output(`{"cloudWatchLogGroup":""}`), "spec.output.cloudWatchLogGroup", "should be at least 1 chars long"},
	"a log group of 513":    {output(`{"cloudWatchLogGroup":` + quoted(513) + `}`), "spec.output.cloudWatchLogGroup", "may not be more than 512 bytes"},
	"a log group of words":  {output(`{"cloudWatchLogGroup":"web logs"}`), "spec.output.cloudWatchLogGroup", badLogGroup},
	"a log group by ARN":    {output(`{"cloudWatchLogGroup":"arn:aws:logs:eu-central-1:123456789012:log-group:web"}`), "spec.output.cloudWatchLogGroup", badLogGroup},
	"a log group of 2 rows": {output(`{"cloudWatchLogGroup":"web\n"}`), "spec.output.cloudWatchLogGroup", badLogGroup},

	"an empty bucket":    {output(`{"s3Bucket":""}`), "spec.output.s3Bucket", "should be at least 3 chars long"},
	"a bucket of 2":      {output(`{"s3Bucket":"ab"}`), "spec.output.s3Bucket", "should be at least 3 chars long"},
	"a bucket of 64":     {output(`{"s3Bucket":` + quoted(64) + `}`), "spec.output.s3Bucket", "may not be more than 63 bytes"},
	"a bucket in caps":   {output(`{"s3Bucket":"Acme"}`), "spec.output.s3Bucket", badBucket},
	"a bucket by URL":    {output(`{"s3Bucket":"s3://acme-logs"}`), "spec.output.s3Bucket", badBucket},
	"a bucket of a dash": {output(`{"s3Bucket":"-acme"}`), "spec.output.s3Bucket", badBucket},
	"a bucket, dot end":  {output(`{"s3Bucket":"acme."}`), "spec.output.s3Bucket", badBucket},

	"a prefix of no bucket": {output(`{"s3KeyPrefix":"web"}`), "spec.output", noBucket},
	"an empty prefix":       {output(`{"s3Bucket":"acme-logs","s3KeyPrefix":""}`), "spec.output.s3KeyPrefix", "should be at least 1 chars long"},
	"a prefix of 501": {output(`{"s3Bucket":"acme-logs","s3KeyPrefix":"` + strings.Repeat("a/", 250) + `a"}`), "spec.output.s3KeyPrefix",
		"may not be more than 500 bytes"},
}

func TestOutputsRejected(t *testing.T) { rejectAll(t, policy, rejectedOutputs) }
