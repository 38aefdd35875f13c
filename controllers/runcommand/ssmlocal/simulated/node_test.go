// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/process"
	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// begin runs a script without letting time pass. There is an answer when the script comes to its end.
func (m *model) begin(s sent) (answer string, o ssmlocal.Outcome) {
	g := NewWithT(m.t)
	now := m.now
	script, comment, read := s(g, now)
	o = m.execute(script, comment)
	m.now = now
	if !o.NoAnswer && o.Delay <= time.Hour {
		answer = read(o.Stdout)
	}
	return answer, o
}

// at is so long after the start of the model.
func at(d time.Duration) time.Time { return noon.Add(d) }

// after is so many seconds after the start of the model.
func after(seconds int) time.Time { return at(time.Duration(seconds) * second) }

const second = time.Second

func TestWhatAStepDoesIsSeenFromThenOn(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.SetStep(Step{Takes: 10 * second, Helps: true, HelpsAfter: 4 * second, FailsAfter: 20 * second})
	m.SetLookTakes(second)
	answer, o := m.begin(recover("restart"))
	g.Expect(answer).To(HavePrefix("Recovered/"))
	g.Expect(o.Delay).To(Equal(12*second), "two looks and the step")
	g.Expect(m.ledger.Effects()).To(Equal([]Effect{{
		InstanceID: ID(0), UID: uid, CommandID: "1", Kind: ssmlocal.Run, Action: "restart", Time: at(second),
	}}))
	for d, up := range map[int]bool{0: false, 4: false, 5: true, 24: true, 25: false, 1000: false} {
		g.Expect(m.Up(after(d))).To(Equal(up), "after %d s", d)
	}
	for d, by := range map[int]string{0: uid, 11: uid, 12: ""} {
		g.Expect(m.LockedBy(after(d))).To(Equal(by), "after %d s", d)
	}
	g.Expect(m.Ran(uid, at(0))).To(BeFalse())
	g.Expect(m.Ran(uid, at(second))).To(BeTrue())
}

func TestAnotherScriptComesWhileAStepRuns(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.SetStep(Step{Takes: 10 * second, Helps: true, HelpsAfter: 5 * second})
	_, _ = m.begin(recover("restart"))
	for _, want := range []string{"Withheld/OtherRecovery", "Withheld/OtherRecovery", "NotNeeded/CheckPassed"} {
		m.now = m.now.Add(4 * second)
		answer, _ := m.begin(recover("restart", by(otherUID)))
		g.Expect(answer).To(HavePrefix(want), m.now.String())
		answer, _ = m.begin(recover("restart"))
		g.Expect(answer).To(HavePrefix("Withheld/AlreadyRan"), m.now.String())
	}
	g.Expect(m.ledger.Most()).To(Equal(1))
}

func TestWhatHappensToANodeMayBeStillToCome(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.Start(at(10 * second))
	m.Fail(at(30 * second))
	m.Stop(at(20 * second))
	for d, p := range map[int]Process{9: Stopped, 10: Running, 20: Stopped, 30: Crashed} {
		g.Expect(m.Process(after(d))).To(Equal(p), "after %d s", d)
	}
	m.now = at(25 * second)
	answer, _ := m.begin(probe(byFile()))
	g.Expect(answer).To(Equal("Unhealthy/CheckFailed"))
	m.Start(at(5 * second))
	g.Expect(m.Process(at(26*second))).To(Equal(Running), "what comes too late happens now")
	g.Expect(m.Process(at(30 * second))).To(Equal(Crashed))
}

func TestReportKnowsWhatIsScheduled(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.SetStep(Step{})
	m.Start(at(4 * second))
	answer, o := m.begin(recover("true", times(second, 30*second)))
	g.Expect(answer).To(HavePrefix("Recovered/"))
	g.Expect(o.Delay).To(Equal(4 * second))
}

func TestScriptIsEndedByTheAgent(t *testing.T) {
	tests := map[string]struct {
		step    Step
		ended   time.Duration
		up      bool
		locked  string
		effects int
	}{
		"in its evidence":                 {Step{Helps: true}, 3 * second, false, uid, 0},
		"in its step, which goes on":      {Step{Takes: 10 * second, Helps: true, HelpsAfter: 8 * second}, 10 * second, true, uid, 1},
		"in a step that would have ended": {Step{Takes: time.Hour, Helps: true, HelpsAfter: 30 * second}, 10 * second, true, uid, 1},
		"after the step has been ended":   {Step{Takes: time.Hour, Helps: true, HelpsAfter: 30 * second}, 27 * second, false, uid, 1},
		"when all is over":                {Step{}, time.Minute, false, "", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g, m := NewWithT(t), newModel(t)
			m.OnEvidence(func(string) Evidence { return Evidence{Takes: 5 * second} })
			m.SetStep(test.step)
			_, o := m.begin(recover("restart", evidence("x"), times(20*second, 15*second)))
			o.Killed(at(test.ended))
			g.Expect(m.Up(at(time.Minute))).To(Equal(test.up))
			g.Expect(m.LockedBy(at(time.Minute))).To(Equal(test.locked))
			g.Expect(m.ledger.Effects()).To(HaveLen(test.effects))
			g.Expect(m.Ran(uid, at(time.Minute))).To(Equal(test.effects == 1))
			g.Expect(m.LockedBy(at(time.Hour))).To(BeEmpty(), "it expires")
		})
	}
}

// TestExecutionTimeout has the script ended at a time that is known from its start.
func TestExecutionTimeout(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.SetStep(Step{Takes: 15 * second, Helps: true})
	script, comment, read := recover("restart")(g, m.now)
	o := m.run(ssmlocal.Execution{Script: script, Comment: comment, Start: m.now, Timeout: 10 * second})
	g.Expect(o.Delay).To(BeNumerically(">", 10*second))
	g.Expect(read(o.Stdout)).To(Equal("/ acted Unhealthy/CheckFailed started probed acting"))
	o.Killed(at(10 * second))
	g.Expect(m.Up(at(14*second))).To(BeTrue(), "the step has a session of its own")
	g.Expect(m.LockedBy(at(14 * second))).To(Equal(uid))
}

func TestNodeGoesDown(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	before := m.BootID(m.now)
	m.OnEvidence(func(string) Evidence { return Evidence{Takes: 5 * second} })
	m.SetStep(Step{Takes: 36 * second, Helps: true, HelpsAfter: 36 * second})
	_, _ = m.begin(recover("restart", evidence("x"), times(time.Minute, 0)))
	m.GoDown(at(8*second), Boot{Takes: 30 * second, Starts: true, After: 5 * second})
	g.Expect(m.ledger.Effects()).To(HaveLen(1), "the step had begun")
	g.Expect(m.Off(at(7 * second))).To(BeFalse())
	g.Expect(m.Off(at(8 * second))).To(BeTrue())
	g.Expect(m.Off(at(38 * second))).To(BeFalse())
	g.Expect(m.Up(at(42*second))).To(BeFalse(), "what the step would have done is not done")
	g.Expect(m.Up(at(43 * second))).To(BeTrue())
	g.Expect(m.BootID(at(40 * second))).NotTo(Equal(before))
	g.Expect(m.LockedBy(at(40 * second))).To(BeEmpty())
	g.Expect(m.Ran(uid, at(40*second))).To(BeTrue(), "the marker is on disk")

	m.now = at(20 * second)
	_, o := m.begin(probe(byFile()))
	g.Expect(o.NoAnswer).To(BeTrue())
	m.now = at(40 * second)
	answer, _ := m.begin(probe(graced(byFile(), 10*second)))
	g.Expect(answer).To(Equal("Held/NodeBooting"))
	answer, _ = m.begin(recover("restart"))
	g.Expect(answer).To(HavePrefix("Withheld/AlreadyRan"))
}

func TestNodeGoesDownBeforeTheStep(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.OnEvidence(func(string) Evidence { return Evidence{Takes: 5 * second} })
	_, _ = m.begin(recover("restart", evidence("x")))
	g.Expect(m.ledger.Effects()).To(HaveLen(1))
	m.GoDown(at(3*second), Boot{Takes: 30 * second})
	g.Expect(m.ledger.Effects()).To(BeEmpty())
	m.now = at(time.Minute)
	answer, _ := m.begin(recover("restart"))
	g.Expect(answer).To(HavePrefix("Recovered/"), "nothing was done before")
	g.Expect(m.ledger.Most()).To(Equal(1))
}

// TestNodeIsToGoDown has scripts of which it is known when they start that they will not end.
func TestNodeIsToGoDown(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.GoDown(at(3*second), Boot{Takes: 30 * second})
	m.SetStep(Step{Takes: 5 * second, Helps: true})
	_, o := m.begin(recover("restart"))
	g.Expect(o.Delay).To(BeNumerically(">", time.Hour))
	g.Expect(o.Stdout).To(HaveSuffix("acting time=1774785600 msg=\n"))
	g.Expect(m.Up(at(2 * second))).To(BeTrue())
	g.Expect(m.Up(at(time.Minute))).To(BeFalse())
}

func TestStepCrashesTheNode(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.SetBoot(Boot{Takes: time.Minute, Starts: true})
	m.SetStep(Step{Takes: 2 * second, Fate: CrashesNode})
	_, o := m.begin(recover("restart"))
	g.Expect(o.Reboot).To(Equal(&ssmlocal.Reboot{After: 2 * second, Down: time.Minute}))
	g.Expect(m.Off(at(2 * second))).To(BeTrue())
	g.Expect(m.Up(at(62 * second))).To(BeTrue())
	g.Expect(m.ledger.Effects()).To(HaveLen(1))
}

func TestOrderedReboot(t *testing.T) {
	tests := map[string]struct {
		boot   Boot
		reboot *ssmlocal.Reboot
		off    bool
		up     bool
		lock   string
	}{
		"helps":         {Boot{Takes: 40 * second, Starts: true}, &ssmlocal.Reboot{After: 10 * second, Down: 40 * second}, true, true, ""},
		"does not help": {Boot{Takes: 40 * second}, &ssmlocal.Reboot{After: 10 * second, Down: 40 * second}, true, false, ""},
		"never ends":    {Boot{Never: true}, &ssmlocal.Reboot{After: 10 * second, Down: never}, true, false, ""},
		"never comes":   {Boot{Refused: true}, nil, false, false, uid + " (reboot)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g, m := NewWithT(t), newModel(t)
			m.SetBoot(test.boot)
			answer, o := m.begin(recover("", reboot))
			g.Expect(answer).To(HavePrefix("Rebooting/"))
			g.Expect(o.Reboot).To(Equal(test.reboot))
			g.Expect(o.Delay).To(BeZero())
			g.Expect(m.ledger.Effects()).To(HaveLen(1))
			g.Expect(m.ledger.Effects()[0].Action).To(Equal(Reboot))
			g.Expect(m.Off(at(9 * second))).To(BeFalse())
			g.Expect(m.Off(at(10 * second))).To(Equal(test.off))
			g.Expect(m.LockedBy(at(10 * second))).To(Equal(test.lock))
			g.Expect(m.Up(at(time.Minute))).To(Equal(test.up))
		})
	}
}

func TestClearedNodeKeepsItsLock(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	answer, _ := m.begin(recover("", document))
	g.Expect(answer).To(HavePrefix("Cleared/"))
	g.Expect(m.ledger.Effects()).To(BeEmpty(), "the document is still to come")
	g.Expect(m.LockedBy(at(time.Minute))).To(Equal(uid))
	g.Expect(m.LockedBy(at(10 * time.Minute))).To(BeEmpty())
}

func TestDocumentActs(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.Fail(m.now)
	m.SetStep(Step{Takes: 10 * second, Helps: true, HelpsAfter: 5 * second, Exit: 4, Output: "on it"})
	execution := ssmlocal.Execution{
		CommandID: "c", InstanceID: ID(0), Comment: uid + "/Run", DocumentName: "Restart", Step: "stop", Script: "stop it",
		Start: m.now, Timeout: time.Minute, Kind: ssmlocal.Resume,
	}
	o := m.run(execution)
	g.Expect(o.Delay).To(Equal(10 * second))
	g.Expect(o.ExitCode).To(Equal(4))
	g.Expect(o.Stdout).To(Equal("on it"))
	g.Expect(m.ledger.Effects()).To(Equal([]Effect{{
		InstanceID: ID(0), UID: uid, CommandID: "c", Kind: ssmlocal.Resume, Action: "Restart", DocumentStep: "stop", Time: m.now,
	}}))
	g.Expect(m.Up(at(5 * second))).To(BeTrue())

	m.Fail(at(20 * second))
	execution.Start = at(30 * second)
	o = m.run(execution)
	o.Killed(at(33 * second))
	g.Expect(m.Up(at(40*second))).To(BeFalse(), "it ends with its command")
	g.Expect(m.ledger.Most()).To(Equal(2), "nothing on the node keeps it from running twice")
}

func TestAgents(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.SetAgent(Silent)
	_, o := m.begin(recover("restart"))
	g.Expect(o.NoAnswer).To(BeTrue())
	g.Expect(m.ledger.Effects()).To(BeEmpty())
	m.SetAgent(Mute)
	_, o = m.begin(recover("restart"))
	g.Expect(o.NoAnswer).To(BeTrue())
	g.Expect(m.Up(m.now)).To(BeTrue())
	m.SetAgent(Answering)
	answer, _ := m.begin(probe(byFile()))
	g.Expect(answer).To(Equal("Healthy/CheckPassed"))
}

// TestClockOfTheNode has a node that is an hour ahead.
func TestClockOfTheNode(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	script, comment, read := recover("restart", within(30*time.Minute))(g, m.now)
	o := m.run(ssmlocal.Execution{
		Script: script, Comment: comment, Start: m.now, NodeTime: m.now.Add(time.Hour), Timeout: time.Minute,
	})
	g.Expect(read(o.Stdout)).To(HavePrefix("Withheld/TooLate"))
	report, err := process.ReadReport(o.Stdout, comment)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(report.Phases[0].Time).To(BeTemporally("==", m.now.Add(time.Hour)))
}

func TestVerdictThatANodeIsTold(t *testing.T) {
	g, m := NewWithT(t), newModel(t)
	m.Hold(process.ReasonHoldFile)
	answer, _ := m.begin(probe(byFile()))
	g.Expect(answer).To(Equal("Held/HoldFile"))
	m.Tell(unknown(process.ReasonMissingTool))
	answer, _ = m.begin(recover("restart"))
	g.Expect(answer).To(Equal("Withheld/MissingTool started done"))
	g.Expect(m.LockedBy(m.now)).To(BeEmpty())
	m.Untell()
	answer, _ = m.begin(recover("restart"))
	g.Expect(answer).To(HavePrefix("Recovered/"))
}
