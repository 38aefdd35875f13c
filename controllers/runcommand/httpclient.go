// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// plainBodyClient hides from net/http that the SDK's request bodies are io.WriterTo.
//
// The SDK closes the body as soon as the answer has begun, and its WriteTo then returns io.EOF as an error. net/http asks
// the body for surplus bytes after it has written it, and when the answer was faster it takes that for a failed write and
// drops the connection with the answer on it. For a send this would be an unclear answer, although nothing went wrong. Read
// returns io.EOF as it should.
type plainBodyClient struct {
	client aws.HTTPClient
}

// Do implements aws.HTTPClient.
func (c plainBodyClient) Do(request *http.Request) (*http.Response, error) {
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = struct{ io.ReadCloser }{request.Body}
	}
	return c.client.Do(request)
}
