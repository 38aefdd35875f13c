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
	// Step is what is done. A command is run in its workingDirectory (/ when empty). A reboot is ordered, and comes when the
	// script has ended. A document is not run: the script clears the node for it.
	Step v1alpha1.RecoveryStep
	// Evidence are the commands whose output is kept before anything is touched, at most 4.
	Evidence []v1alpha1.ShellCommand
	// Keep says when the output of a command is printed; empty means OnFailure. Evidence, which was asked for, always is.
	Keep v1alpha1.KeepOutput
	// Timeout is how long a command may run before it is ended with its whole session. Only a command has one.
	Timeout time.Duration
	// Verify is how long the process may take to be healthy after a command has ended. It is looked at once even when
	// this is 0. Only a command has one.
	Verify time.Duration
	// Hold is how long the node's lock is kept, after the longest time that the script may run, for the commands that
	// have to follow it. A document and a reboot have to have one; the script of a command does not look at it.
	Hold time.Duration
	// NotAfter is the time, in the node's clock, after which the node refuses to act.
	NotAfter time.Time
}

// RecoveryScript is the script of a recovery. Errors are those of ProbeScript, and a step or evidence that cannot be run.
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

// RecoveryTimeout is an upper bound of the time that the script of the recovery runs on the node, for executionTimeout; a
// reboot that it orders has come by then. The node's lock expires after it and Hold.
func RecoveryTimeout(r Recovery) time.Duration {
	return r.bound() + r.evidenceBound() + r.stepBound() + overhead
}

func (r Recovery) addTo(s *script) error {
	if err := checkUID(r.UID); err != nil {
		return err
	}
	if r.NotAfter.Unix() <= 0 {
		return errors.New("reading notAfter: there is none")
	}
	s.set("SR_UID", r.UID)
	s.set("SR_NOT_AFTER", strconv.FormatInt(r.NotAfter.Unix(), 10))
	if err := r.Check.addTo(s); err != nil {
		return err
	}
	s.add("claim.sh", "locked.sh", "lock.sh")
	if err := errors.Join(r.addEvidence(s), r.addStep(s)); err != nil {
		return err
	}
	s.add("recover.sh")
	return nil
}

func checkUID(uid string) error {
	if !uidForm.MatchString(uid) {
		return fmt.Errorf("reading the uid: %q is none", uid)
	}
	return nil
}
