// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"encoding/base64"
	"fmt"
)

// position is where a page of a list of commands or invocations ended. Lists are walked by command and then by invocation,
// so that a page is found again although commands were added meanwhile. The zero value is the beginning: commands are
// numbered from 1.
type position struct {
	seq   int64
	index int
}

// token is the NextToken of a position.
func (p position) token() string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", p.seq, p.index))
}

// parsePosition reads a NextToken; empty is the beginning.
func parsePosition(token string) (p position, err error) {
	if token == "" {
		return position{}, nil
	}
	text, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d.%d", &p.seq, &p.index)
	}
	if err != nil {
		return position{}, errorf("InvalidNextToken", "The specified token isn't valid.")
	}
	return p, nil
}

// pageSize is MaxResults, or what a list has without it.
func pageSize(maxResults *int, otherwise int) int {
	if maxResults == nil {
		return otherwise
	}
	return *maxResults
}
