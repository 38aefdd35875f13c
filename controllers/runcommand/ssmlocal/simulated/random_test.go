// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// sending is a recovery that was started on a node under random conditions.
type sending struct {
	commandID, comment string
	outcome            ssmlocal.Outcome
	end                time.Time
	// killed is when it is to be ended before its end; zero for one that is let be.
	killed time.Time
}

// chance is a source of random conditions.
type chance struct{ *rand.Rand }

func (c chance) seconds(most int) time.Duration { return time.Duration(c.IntN(most)) * second }

func (c chance) step() Step {
	return Step{
		Takes: c.seconds(40), Exit: c.IntN(3), Helps: c.IntN(2) == 0, HelpsAfter: c.seconds(60), FailsAfter: c.seconds(100),
		Fate: Fate(c.IntN(3)),
	}
}

// TestWhateverHappens has recoveries, some of them sent again, on a node whose scripts are killed, and which goes down. The
// node acts once for each, and just when a report says so.
func TestWhateverHappens(t *testing.T) {
	for seed := range uint64(50) {
		g, m, c := NewWithT(t), newModel(t), chance{rand.New(rand.NewPCG(seed, 0))}
		m.OnStep(func(Effect) Step { return c.step() })
		m.OnEvidence(func(string) Evidence { return Evidence{Takes: c.seconds(15)} })
		m.SetBoot(Boot{Takes: 20 * second, Starts: c.IntN(2) == 0})
		var running, ended []sending
		for i := range 200 {
			m.Fail(m.now)
			s := m.try(g, c, fmt.Sprint("uid-", i-c.IntN(4)), fmt.Sprint(i))
			running = append(running, s)
			m.now = m.now.Add(c.seconds(90))
			running = slices.DeleteFunc(running, func(s sending) bool {
				switch {
				case !s.killed.IsZero() && !s.killed.After(m.now):
					s.outcome.Killed(s.killed)
				case s.end.After(m.now):
					return false
				case s.killed.IsZero():
					ended = append(ended, s)
				}
				return true
			})
		}
		g.Expect(m.ledger.Repeated()).To(BeEmpty(), "seed %d", seed)
		acted := map[string]bool{}
		for _, e := range m.ledger.Effects() {
			acted[e.CommandID] = true
		}
		g.Expect(acted).NotTo(BeEmpty())
		g.Expect(ended).NotTo(BeEmpty())
		for _, s := range ended {
			report, err := process.ReadReport(s.outcome.Stdout, s.comment)
			g.Expect(err).NotTo(HaveOccurred(), s.outcome.Stdout)
			g.Expect(report.Acted).To(Equal(acted[s.commandID]), "seed %d: %s", seed, s.outcome.Stdout)
		}
	}
}

// try starts a recovery on a node that is up, as a command or as a reboot, of which some are to be killed.
func (m *model) try(g *WithT, c chance, uid, commandID string) sending {
	for m.Off(m.now) {
		m.now = m.now.Add(second)
	}
	changes := []func(*process.Recovery){by(uid), evidence("x"), times(30*second, 20*second)}
	if c.IntN(8) == 0 {
		changes = append(changes, reboot)
	}
	command := "restart"
	if len(changes) > 3 {
		command = ""
	}
	script, comment, _ := recover(command, changes...)(g, m.now)
	s := sending{commandID: commandID, comment: comment, outcome: m.run(ssmlocal.Execution{
		CommandID: commandID, InstanceID: m.id, Comment: comment, Script: script, Start: m.now, Timeout: 3 * time.Minute,
	})}
	s.end = m.now.Add(min(s.outcome.Delay, 3*time.Minute))
	if down := s.outcome.Reboot; down != nil && down.After < s.outcome.Delay {
		s.killed = m.now.Add(down.After)
	} else if c.IntN(3) == 0 && s.outcome.Delay > 0 {
		s.killed = m.now.Add(time.Duration(c.Int64N(int64(s.outcome.Delay))))
	}
	return s
}
