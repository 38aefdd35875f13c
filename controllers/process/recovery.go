// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// uidForm is the form of the UID of an object. It becomes a file name.
var uidForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// Recovery is one attempt to recover a process on one node.
type Recovery struct {
	Check
	// UID is that of the Remediation. The node keeps a marker of this name, and runs no recovery of that name again.
	UID string
	// Binding ties the report to the command; it is the Comment of the command.
	Binding string
	// Step is what is done: its command, in its workingDirectory (/ when empty).
	Step v1alpha1.RecoveryStep
	// Timeout is how long the step may run before it is ended with its whole session.
	Timeout time.Duration
	// Verify is how long the process may take to be healthy after the step has ended. It is looked at once even when
	// this is 0.
	Verify time.Duration
	// NotAfter is the time, in the node's clock, after which the node refuses to act.
	NotAfter time.Time
}

// RecoveryScript is the script of a recovery. Errors are those of ProbeScript, and a step without a command.
func RecoveryScript(r Recovery) (string, error) {
	s := script{marker: "# ssm-remediator recovery"}
	s.set("SR_BINDING", r.Binding)
	if err := errors.Join(checkBinding(r.Binding), r.addTo(&s)); err != nil {
		return "", fmt.Errorf("making the recovery script: %w", err)
	}
	text, err := s.render()
	if err != nil {
		return "", fmt.Errorf("making the recovery script: %w", err)
	}
	return text, nil
}

// RecoveryTimeout is an upper bound of the time that the script of the recovery runs on the node, for executionTimeout.
// The node's lock expires after it.
func RecoveryTimeout(r Recovery) time.Duration {
	// One check before the step, and one that begins at the very end of the time to verify.
	return 2*r.bound() + seconds(r.Timeout) + endGrace + seconds(r.Verify) + overhead
}

func (r Recovery) addTo(s *script) error {
	switch {
	case !uidForm.MatchString(r.UID):
		return fmt.Errorf("reading the uid: %q is none", r.UID)
	case r.Timeout <= 0 || r.Verify < 0:
		return fmt.Errorf("reading the times of the step: timeout %v, verify %v", r.Timeout, r.Verify)
	case r.NotAfter.Unix() <= 0:
		return errors.New("reading notAfter: there is none")
	}
	if err := checkCommand(r.Step.Command); err != nil {
		return fmt.Errorf("reading the step: %w", err)
	}
	directory := string(r.Step.WorkingDirectory)
	switch {
	case directory == "":
		directory = "/"
	case directory[0] != '/':
		return fmt.Errorf("reading the step: workingDirectory %q is not an absolute path", directory)
	}
	s.set("SR_UID", r.UID)
	s.set("SR_STEP", string(r.Step.Command))
	s.set("SR_DIRECTORY", directory)
	s.setSeconds("SR_STEP_TIMEOUT", r.Timeout)
	s.setSeconds("SR_VERIFY", r.Verify)
	s.setSeconds("SR_BOUND", RecoveryTimeout(r))
	s.set("SR_NOT_AFTER", strconv.FormatInt(r.NotAfter.Unix(), 10))
	if err := r.Check.addTo(s); err != nil {
		return err
	}
	s.add("lock.sh", "recover.sh")
	return nil
}
