// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
)

const (
	targetPrefix = "AmazonSSM."
	contentType  = "application/x-amz-json-1.1"
	// maxBody is far above what any valid request has.
	maxBody = 4 << 20
)

// timestamp is a time as the JSON protocol has it: epoch seconds with a fraction of milliseconds.
type timestamp time.Time

// MarshalJSON implements json.Marshaler.
func (t timestamp) MarshalJSON() ([]byte, error) {
	ms := time.Time(t).UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// apiError is an error as AWS answers it.
type apiError struct {
	code    string
	message string
	// status is the HTTP status, by default 400.
	status int
}

// Error implements error.
func (e *apiError) Error() string {
	return e.code + ": " + e.message
}

func errorf(code, format string, args ...any) error {
	return &apiError{code: code, message: fmt.Sprintf(format, args...)}
}

// operation carries out one call with its JSON body, with the lock held.
type operation func(s *Server, body []byte, f Fault) (any, error)

// operations by name.
var operations = map[string]operation{
	"SendCommand":                 typed((*Server).sendCommand),
	"ListCommands":                typed((*Server).listCommands),
	"ListCommandInvocations":      typed((*Server).listCommandInvocations),
	"GetCommandInvocation":        typed((*Server).getCommandInvocation),
	"CancelCommand":               typed((*Server).cancelCommand),
	"DescribeInstanceInformation": typed((*Server).describeInstanceInformation),
}

// typed reads the body before it carries out an operation.
func typed[Request any](do func(*Server, *Request, Fault) (any, error)) operation {
	return func(s *Server, body []byte, f Fault) (any, error) {
		request := new(Request)
		if err := json.Unmarshal(body, request); err != nil {
			return nil, errorf("SerializationException", "reading the request: %v", err)
		}
		return do(s, request, f)
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := string(uuid.NewUUID())
	w.Header().Set("x-amzn-requestid", requestID)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, errorf("RequestEntityTooLarge", "reading the request: %v", err))
		return
	}
	if isQuery(r) {
		s.serveIdentity(w, r, body, requestID)
		return
	}
	answer, err := s.serve(r, body)
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, http.StatusOK, answer)
}

// serve checks who calls what, and carries it out with what the faults say.
func (s *Server) serve(r *http.Request, body []byte) (any, error) {
	if err := authorized(r, "ssm"); err != nil {
		return nil, err
	}
	name, isSSM := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	do, known := operations[name]
	if r.Method != http.MethodPost || !isSSM || !known {
		return nil, errorf("UnknownOperationException", "operation %q is not known here", r.Header.Get("X-Amz-Target"))
	}
	fault, err := s.admit(name, body)
	if err != nil {
		return nil, err
	}
	unlock := s.lock()
	answer, err := do(s, body, fault)
	unlock()
	s.afterwards(r, fault)
	return answer, err
}

func write(w http.ResponseWriter, status int, answer any) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		panic(fmt.Sprintf("encoding an answer: %v", err))
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

func writeError(w http.ResponseWriter, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{code: "InternalServerError", message: err.Error(), status: http.StatusInternalServerError}
	}
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	write(w, status, map[string]string{"__type": e.code, "Message": e.message})
}

// scope finds the service in the credential scope of a Signature Version 4 header.
var scope = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/,\s]+/\d{8}/[^/,\s]+/([^/,\s]+)/aws4_request, ?` +
	`SignedHeaders=[^,\s]+, ?Signature=[0-9a-f]{64}$`)

// authorized checks that a request is signed for a service. Any credentials will do.
func authorized(r *http.Request, service string) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return errorf("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	match := scope.FindStringSubmatch(header)
	if match == nil {
		return errorf("IncompleteSignatureException", "the Authorization header is not a Signature Version 4")
	}
	if match[1] != service {
		return errorf("InvalidSignatureException", "Credential should be scoped to correct service: '%s'.", service)
	}
	return nil
}
