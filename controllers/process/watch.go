// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	// watchInterval is the pause between two looks. A look costs 10 to 40 ms of one CPU.
	watchInterval = time.Second
	// watchPatience is how long a process that is down is put down to a recovery that holds the node: the time of a step that
	// restarts it.
	watchPatience = 60 * time.Second
	// maxWatch is the most that probe.watchSeconds may be. What is remembered of a watch for the sweeping relies on that it is
	// less than a day.
	maxWatch = time.Hour
)

// Watch is a probe that stays on the node.
type Watch struct {
	// Duration is how long it stays while the process is healthy; it is rounded up to whole seconds.
	Duration time.Duration
	// Threshold is how many looks in a row have to find the process down, which was healthy at first, before it says so.
	Threshold int32
}

// WatchScript is the script of a watch, for a command whose Comment is binding. ReadVerdict reads its verdict, which is that
// of its last look. It ends
//
//   - at once when it does not find the process Healthy, or finds that another one watches the node (Verdict.Busy), which counts as
//     a failure of the command, so that it can be told from a watch that stays;
//   - with Unhealthy when Threshold looks in a row have found the process down (Verdict.Failures);
//   - with Held or Unknown as soon as a look finds that;
//   - with Healthy, or what it just has, when Duration is over.
//
// Errors are those of ProbeScript, and a watch whose numbers make no sense.
func WatchScript(c Check, w Watch, binding string) (string, error) {
	s := script{marker: "# ssm-remediator watch"}
	s.set("SR_BINDING", binding)
	if err := errors.Join(checkBinding(binding), w.addTo(&s, c), c.addTo(&s)); err != nil {
		return "", fmt.Errorf("making the watch script: %w", err)
	}
	s.add("claim.sh", "locked.sh", "sweep.sh", "watch.sh")
	text, err := s.render()
	if err != nil {
		return "", fmt.Errorf("making the watch script: %w", err)
	}
	return text, nil
}

// WatchTimeout is an upper bound of the time that the script of the watch runs on the node, for executionTimeout. At the end of
// Duration a look may be due, and then a recovery may be waited for, with a look when that has taken too long.
func WatchTimeout(c Check, w Watch) time.Duration {
	return seconds(w.Duration) + watchInterval + c.bound() + watchPatience + watchInterval + c.bound() + overhead
}

func (w Watch) addTo(s *script, c Check) error {
	if w.Duration <= 0 || w.Duration > maxWatch || w.Threshold < 1 || w.Threshold > maxFailures {
		return fmt.Errorf("reading the watch: it is of %v, with a threshold of %d", w.Duration, w.Threshold)
	}
	s.setSeconds("SR_WATCH", w.Duration)
	s.set("SR_THRESHOLD", strconv.Itoa(int(w.Threshold)))
	s.setSeconds("SR_EVERY", watchInterval)
	s.setSeconds("SR_PATIENCE", watchPatience)
	s.setSeconds("SR_BOUND", WatchTimeout(c, w))
	return nil
}
