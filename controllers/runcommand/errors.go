// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"unicode"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Class is what an error of AWS means to us.
type Class int

const (
	// Unavailable is an outage: no connection, no answer in time, an error of the service. Nothing is known about what
	// became of the request.
	Unavailable Class = iota
	// Throttled means that AWS refused the request because there were too many.
	Throttled
	// Denied means that the controller's role lacks a permission, or that it has no valid credentials.
	Denied
	// InvalidInstance means that at least one of the instances is not there or not managed.
	InvalidInstance
	// Invalid means that AWS calls the request wrong; sending it again will not help.
	Invalid
	// NotYet means that a command or its invocation is not visible yet: reads are eventually consistent.
	NotYet
)

// String is the class as a word for logs.
func (c Class) String() string {
	switch c {
	case Unavailable:
		return "unavailable"
	case Throttled:
		return "throttled"
	case Denied:
		return "denied"
	case InvalidInstance:
		return "invalid instance"
	case Invalid:
		return "invalid"
	case NotYet:
		return "not yet"
	}
	return "unavailable"
}

// classes lists the error codes that are possible in the operations that we call, from the API model of SSM and the common
// errors of AWS.
var classes = map[string]Class{
	"ThrottlingException":  Throttled,
	"Throttling":           Throttled,
	"ThrottledException":   Throttled,
	"RequestLimitExceeded": Throttled,
	"TooManyRequests":      Throttled,

	"AccessDeniedException":                 Denied,
	"AccessDenied":                          Denied,
	"UnauthorizedOperation":                 Denied,
	"UnrecognizedClientException":           Denied,
	"InvalidClientTokenId":                  Denied,
	"ExpiredTokenException":                 Denied,
	"ExpiredToken":                          Denied,
	"InvalidSignatureException":             Denied,
	"SignatureDoesNotMatch":                 Denied,
	"IncompleteSignature":                   Denied,
	"MissingAuthenticationToken":            Denied,
	"OptInRequired":                         Denied,
	"InvalidIdentityToken":                  Denied,
	"RegionDisabledException":               Denied,
	"InvalidInstanceId":                     InvalidInstance,
	"UnsupportedPlatformType":               InvalidInstance,
	"InvocationDoesNotExist":                NotYet,
	"InvalidCommandId":                      NotYet,
	"ValidationException":                   Invalid,
	"ValidationError":                       Invalid,
	"DuplicateInstanceId":                   Invalid,
	"InvalidDocument":                       Invalid,
	"InvalidDocumentVersion":                Invalid,
	"InvalidParameters":                     Invalid,
	"InvalidOutputFolder":                   Invalid,
	"InvalidRole":                           Invalid,
	"InvalidNotificationConfig":             Invalid,
	"MaxDocumentSizeExceeded":               Invalid,
	"InvalidFilterKey":                      Invalid,
	"InvalidFilterValue":                    Invalid,
	"InvalidNextToken":                      Invalid,
	"InvalidInstanceInformationFilterValue": Invalid,
	"InvalidPluginName":                     Invalid,
	"InvalidAction":                         Invalid,
	"SerializationException":                Invalid,
}

// credentialsError marks an error of finding out who we are, before any request was made.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "finding AWS credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// noCallError marks a call that was not made, because the context ended before the budget allowed it.
type noCallError struct{ err error }

func (e *noCallError) Error() string { return "waiting for the AWS budget: " + e.err.Error() }
func (e *noCallError) Unwrap() error { return e.err }

func notCalled(err error) bool {
	_, ok := errors.AsType[*noCallError](err)
	return ok
}

// Classify tells what an error of a Service means.
func Classify(err error) Class {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if class, known := classes[api.ErrorCode()]; known {
			return class
		}
		return classOfStatus(err)
	}
	switch {
	case withoutCredentials(err):
		return Denied
	case notCalled(err):
		return Throttled
	default:
		return Unavailable
	}
}

func withoutCredentials(err error) bool {
	_, ok := errors.AsType[*credentialsError](err)
	return ok
}

// classOfStatus tells what an error code that is not in the list means, by the HTTP status: 4xx blames the request.
func classOfStatus(err error) Class {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) {
		return Unavailable
	}
	switch code := response.HTTPStatusCode(); {
	case code == 429:
		return Throttled
	case code == 401 || code == 403:
		return Denied
	case code >= 400 && code < 500:
		return Invalid
	default:
		return Unavailable
	}
}

// MayBeAccepted tells whether the command may exist although Send returned err: then it has to be looked up, and never to be
// sent again. Only an answer that AWS is known to refuse requests with proves that there is none. A lost connection, a
// time-out, an error of the service, and a code that nobody knows, which may be from something in between, prove nothing.
func MayBeAccepted(err error) bool {
	if withoutCredentials(err) || notCalled(err) {
		return false
	}
	api, answered := errors.AsType[smithy.APIError](err)
	if !answered {
		return true
	}
	_, known := classes[api.ErrorCode()]
	return !known
}

var instanceIDs = regexp.MustCompile(`\bm?i-[0-9a-z]{8,17}\b`)

// InvalidInstances returns the instance ids that an error of class InvalidInstance names, if any.
func InvalidInstances(err error) []string {
	return instanceIDs.FindAllString(err.Error(), -1)
}

// Words is what AWS said, for a user: the code and message of an API error without the SDK's wrapping, and at most 300
// characters.
func Words(err error) string {
	text := err.Error()
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text = fmt.Sprintf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	} else if notCalled(err) {
		text = "the AWS budget allowed no call in time"
	} else if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	} else if op, ok := errors.AsType[*net.OpError](err); ok {
		// Without the local port, which is another one each time.
		text = fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	text = strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(text, "\uFFFD"))), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// printable takes out what a status or a terminal should not get, and leaves the rest.
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case !unicode.IsPrint(r):
		return -1
	}
	return r
}
