// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// Results of a script that has done its part when the result of the attempt is still to come.
const (
	// ResultRebooting means that a reboot is ordered, and the marker made: the node goes down some seconds after the
	// script. The lock is kept.
	ResultRebooting v1alpha1.Result = "Rebooting"
	// ResultCleared means that the process is down, and the marker made: the document is to be run. Nothing was touched.
	// The lock is kept.
	ResultCleared v1alpha1.Result = "Cleared"
)

// rebootDelay is the time from the end of the script to the reboot, in which the agent reports: enough for a busy node that
// uploads the output first, and little against the time that a reboot takes.
const rebootDelay = 10 * time.Second

// addStep adds the one file that does the step, or prepares it.
func (r Recovery) addStep(s *script) error {
	var add []func(*script) error
	if r.Step.Command != "" {
		add = append(add, r.addCommand)
	}
	if r.Step.Reboot != nil {
		add = append(add, r.addReboot)
	}
	if r.Step.Document != nil {
		add = append(add, r.addDocument)
	}
	if len(add) != 1 {
		return fmt.Errorf("reading the step: it says %d things to do instead of one", len(add))
	}
	if err := add[0](s); err != nil {
		return fmt.Errorf("reading the step: %w", err)
	}
	return nil
}

func (r Recovery) addCommand(s *script) error {
	if err := checkCommand(r.Step.Command); err != nil {
		return err
	}
	if r.Timeout <= 0 || r.Verify < 0 {
		return fmt.Errorf("its times are timeout %v, verify %v", r.Timeout, r.Verify)
	}
	directory := string(r.Step.WorkingDirectory)
	switch {
	case directory == "":
		directory = "/"
	case directory[0] != '/':
		return fmt.Errorf("workingDirectory %q is not an absolute path", directory)
	}
	keep := r.Keep
	switch keep {
	case "":
		keep = v1alpha1.KeepOnFailure
	case v1alpha1.KeepAlways, v1alpha1.KeepOnFailure, v1alpha1.KeepNever:
	default:
		return fmt.Errorf("%q does not say when to keep its output", keep)
	}
	s.set("SR_STEP", string(r.Step.Command))
	s.set("SR_DIRECTORY", directory)
	s.set("SR_KEEP", string(keep))
	s.setSeconds("SR_STEP_TIMEOUT", r.Timeout)
	s.setSeconds("SR_VERIFY", r.Verify)
	s.setSeconds("SR_BOUND", RecoveryTimeout(r))
	s.add("step_command.sh")
	return nil
}

func (r Recovery) addReboot(s *script) error {
	s.setSeconds("SR_DELAY", rebootDelay)
	s.add("step_reboot.sh")
	return r.addHold(s)
}

func (r Recovery) addDocument(s *script) error {
	s.add("step_document.sh")
	return r.addHold(s)
}

// addHold sets the time of the lock for a step that other commands have to follow.
func (r Recovery) addHold(s *script) error {
	if r.Hold <= 0 {
		return errors.New("hold says no time for the commands that have to follow")
	}
	s.setSeconds("SR_BOUND", RecoveryTimeout(r)+r.Hold)
	return nil
}

// stepBound is the longest that the step takes within the script.
func (r Recovery) stepBound() time.Duration {
	switch {
	case r.Step.Command != "":
		// With a check that begins at the very end of the time to verify.
		return seconds(r.Timeout) + endGrace + seconds(r.Verify) + r.bound()
	case r.Step.Reboot != nil:
		return rebootDelay
	}
	return 0
}
