// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const (
	// endGrace bounds how long ending a command takes that did not end in time: a polite signal and a second one, each
	// with two seconds to work, and the overhead of looking for its processes.
	endGrace = 8 * time.Second
	// overhead bounds everything else that a script does, on a slow and busy node. It is more than the 5 s below which
	// the agent ignores executionTimeout.
	overhead = 10 * time.Second
)

// bindingForm keeps a binding one word, and fit to be the Comment of a command (at most 100 characters).
var bindingForm = regexp.MustCompile(`^[A-Za-z0-9/_.:-]{1,100}$`)

// objectName is the form of the names of a Namespace and of a policy, which become part of a file name.
var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// unitName is the form that the API gives to names of units. None of its characters is special to a shell.
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]*$`)

// commLength is how many bytes of a process's name the kernel keeps.
const commLength = 15

// Check is what is looked at on the node, in probes and in recoveries.
type Check struct {
	// Process says what has to be running.
	Process v1alpha1.ProcessSpec
	// Timeout is how long the look at the process may take; it is rounded up to whole seconds.
	Timeout time.Duration
	// StartupGrace is how long after its boot a node on which the process is down is Held.
	StartupGrace time.Duration
	// Namespace and Policy name the policy, for its hold files: hold.<Namespace>.<Policy>.
	Namespace, Policy string
}

// ProbeScript is the script of a probe, for a command whose Comment is binding. The error tells what must not be sent: a
// process that is not named in exactly one way, a name that is none, `{{`, NUL, invalid UTF-8, or a script that is larger
// than MaxScriptBytes.
func ProbeScript(c Check, binding string) (string, error) {
	s := script{marker: "# ssm-remediator probe"}
	s.set("SR_BINDING", binding)
	if err := errors.Join(checkBinding(binding), c.addTo(&s)); err != nil {
		return "", fmt.Errorf("making the probe script: %w", err)
	}
	s.add("sweep.sh", "probe.sh")
	text, err := s.render()
	if err != nil {
		return "", fmt.Errorf("making the probe script: %w", err)
	}
	return text, nil
}

// ProbeTimeout is an upper bound of the time that the script of the probe runs on the node, for executionTimeout.
func ProbeTimeout(c Check) time.Duration {
	return c.bound() + overhead
}

// bound is the longest that one check takes, with ending it.
func (c Check) bound() time.Duration {
	return seconds(c.Timeout) + endGrace
}

func checkBinding(binding string) error {
	if !bindingForm.MatchString(binding) {
		return fmt.Errorf("reading binding %q: it must be up to 100 letters, digits and any of /_.:-", binding)
	}
	return nil
}

// addTo adds the parameters of the check, and the files that do it.
func (c Check) addTo(s *script) error {
	if c.Timeout <= 0 {
		return fmt.Errorf("reading the timeout of the check: %v is not positive", c.Timeout)
	}
	for _, name := range []string{c.Namespace, c.Policy} {
		if !objectName.MatchString(name) {
			return fmt.Errorf("reading the policy of the check: %q is no name", name)
		}
	}
	s.setSeconds("SR_TIMEOUT", c.Timeout)
	s.setSeconds("SR_GRACE", c.StartupGrace)
	s.set("SR_NAMESPACE", c.Namespace)
	s.set("SR_POLICY", c.Policy)
	s.add("node.sh", "hold.sh", "proc.sh", "session.sh")
	return c.addLook(s)
}

// addLook adds the one file that looks at the process in the way that the spec says.
func (c Check) addLook(s *script) error {
	p, ways := c.Process, 0
	if p.Name != "" {
		ways++
		s.set("SR_NAME", p.Name)
		s.setFlag("SR_LONG", len(p.Name) > commLength)
		s.add("look_name.sh")
	}
	if p.SystemdUnit != "" {
		ways++
		if !unitName.MatchString(p.SystemdUnit) {
			return fmt.Errorf("reading the process: %q is not the name of a unit", p.SystemdUnit)
		}
		s.set("SR_UNIT", p.SystemdUnit)
		s.setFlag("SR_HOLD_STOPPED", p.OnCleanStop == v1alpha1.CleanStopHold)
		s.add("look_unit.sh")
	}
	if p.PIDFile != "" {
		ways++
		if p.PIDFile[0] != '/' {
			return fmt.Errorf("reading the process: %q is not an absolute path", p.PIDFile)
		}
		s.set("SR_PID_FILE", string(p.PIDFile))
		s.add("look_pidfile.sh")
	}
	if p.Command != "" {
		ways++
		if err := checkCommand(p.Command); err != nil {
			return fmt.Errorf("reading the process: %w", err)
		}
		s.set("SR_CHECK", string(p.Command))
		s.add("look_command.sh")
	}
	if ways != 1 {
		return fmt.Errorf("reading the process: it is named in %d ways instead of one", ways)
	}
	return nil
}
