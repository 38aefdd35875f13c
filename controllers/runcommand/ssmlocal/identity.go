// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal

import (
	"encoding/xml"
	"errors"
	"mime"
	"net/http"
	"net/url"
)

// identityAnswer is the answer of the STS operation GetCallerIdentity.
type identityAnswer struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

// identityError is an error as the query protocol of STS has it.
type identityError struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// isQuery tells the query protocol of STS from the JSON protocol of SSM.
func isQuery(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

// serveIdentity answers STS GetCallerIdentity, so that one AWS_ENDPOINT_URL serves both services.
func (s *Server) serveIdentity(w http.ResponseWriter, r *http.Request, body []byte, requestID string) {
	if err := s.admitIdentity(r, body); err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{code: "InternalFailure", message: err.Error()}
		}
		answer := identityError{Type: "Sender", Code: e.code, Message: e.message, RequestID: requestID}
		writeXML(w, http.StatusBadRequest, answer)
		return
	}
	writeXML(w, http.StatusOK, identityAnswer{
		Arn:       "arn:aws:iam::" + s.account + ":user/local",
		UserID:    "AIDALOCAL",
		Account:   s.account,
		RequestID: requestID,
	})
}

func (s *Server) admitIdentity(r *http.Request, body []byte) error {
	if err := authorized(r, "sts"); err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return errorf("MalformedQueryString", "reading the form: %v", err)
	}
	if action := form.Get("Action"); action != "GetCallerIdentity" {
		return errorf("InvalidAction", "action %q is not known here", action)
	}
	_, err = s.admit("GetCallerIdentity", []byte("{}"))
	return err
}

func writeXML(w http.ResponseWriter, status int, answer any) {
	out, err := xml.Marshal(answer)
	if err != nil {
		panic("encoding an answer: " + err.Error())
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(out)
}
