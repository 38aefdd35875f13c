// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

// ErrNoVerdict is the error of ReadVerdict and ReadReport when no line of the output is bound to the command: the script
// did not get to it, or the output is not from it.
var ErrNoVerdict = errors.New("the node printed no verdict of this command")

const kindProbed = "probed"

// maxFailures is the highest probe.failureThreshold that the API allows.
const maxFailures = 100

var (
	reasonForm = regexp.MustCompile(`^[A-Z][A-Za-z]{0,62}$`)
	bootIDForm = regexp.MustCompile(`^[0-9a-f-]{1,36}$`)
)

// Verdict is what a look at the node found out.
type Verdict struct {
	Health v1alpha1.Health
	// Reason is one of the constants of this package.
	Reason string
	// Message is the verdict in words, without control characters, at most 512 bytes.
	Message string
	// NodeTime is when it was given, in the node's clock, to the second; zero when the node cannot tell.
	NodeTime time.Time
	// BootID changes with every boot; empty when the node cannot tell.
	BootID string
	// Uptime is the time since boot, to the second.
	Uptime time.Duration
	// Failures is how many looks in a row found the process down when it is Unhealthy, at least 1, and 0 otherwise. A watch
	// looks several times; it may end before its Threshold because its Duration was over.
	Failures int32
	// Busy tells of a watch that looked once, as a probe does, because another one watches the node, or because the node
	// cannot note down which one does.
	Busy bool
}

// ReadVerdict reads the verdict from the output of a probe or a watch whose Comment was binding. There has to be exactly one line
// that is bound to it, and it has to be whole: anything else is an error, ErrNoVerdict when there is no such line.
func ReadVerdict(output, binding string) (Verdict, error) {
	if err := checkBinding(binding); err != nil {
		return Verdict{}, err
	}
	var verdict *Verdict
	for text := range strings.Lines(output) {
		l, ok, err := boundLine(strings.TrimSuffix(text, "\n"), binding)
		if err != nil {
			return Verdict{}, err
		}
		if !ok {
			continue
		}
		if verdict != nil || l.kind != kindProbed {
			return Verdict{}, fmt.Errorf("reading the verdict: there is a %s line besides it", Printable(l.kind, 20, ""))
		}
		if verdict, err = l.verdict(); err != nil {
			return Verdict{}, err
		}
	}
	if verdict == nil {
		return Verdict{}, ErrNoVerdict
	}
	return *verdict, nil
}

// verdict reads the verdict of a line.
func (l line) verdict() (*Verdict, error) {
	if !l.whole {
		return nil, fmt.Errorf("reading the %s line: it is cut off", l.kind)
	}
	v := Verdict{Health: v1alpha1.Health(l.values["health"]), Reason: l.values["reason"], Message: l.message}
	switch v.Health {
	case v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthHeld, v1alpha1.HealthUnknown:
	default:
		return nil, fmt.Errorf("reading the %s line: health is %q", l.kind, v.Health)
	}
	if !reasonForm.MatchString(v.Reason) {
		return nil, fmt.Errorf("reading the %s line: reason is %q", l.kind, v.Reason)
	}
	switch boot := l.values["boot"]; {
	case boot == "-":
	case bootIDForm.MatchString(boot):
		v.BootID = boot
	default:
		return nil, fmt.Errorf("reading the %s line: boot is %q", l.kind, boot)
	}
	var err error
	if v.NodeTime, err = l.time(); err != nil {
		return nil, err
	}
	// A machine of 300 years is out of the range of a duration.
	up, _, err := l.number("uptime")
	if err != nil || up > 1e9 {
		return nil, fmt.Errorf("reading the %s line: uptime is %q", l.kind, l.values["uptime"])
	}
	v.Uptime = time.Duration(up) * time.Second
	if err := l.addWatch(&v); err != nil {
		return nil, err
	}
	return &v, nil
}

// addWatch reads what a watch says besides, which is nothing for most of them.
func (l line) addWatch(v *Verdict) error {
	if v.Health == v1alpha1.HealthUnhealthy {
		v.Failures = 1
	}
	if text, ok := l.values["failures"]; ok {
		n, known, err := l.number("failures")
		if err != nil || !known || n < 1 || n > maxFailures || v.Health != v1alpha1.HealthUnhealthy {
			return fmt.Errorf("reading the %s line: it is %s with failures %q", l.kind, v.Health, text)
		}
		v.Failures = int32(n)
	}
	if text, ok := l.values["watch"]; ok {
		if text != "busy" || v.Health != v1alpha1.HealthHealthy {
			return fmt.Errorf("reading the %s line: it is %s with watch %q", l.kind, v.Health, text)
		}
		v.Busy = true
	}
	return nil
}
