// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package scaled

import (
	"strings"
	"testing"
	"time"
)

func TestClockRunsFaster(t *testing.T) {
	c := New(100)
	began, realBegan := c.Now(), time.Now()
	c.Sleep(2 * time.Second)
	passed, real := c.Since(began), time.Since(realBegan)
	if real < 20*time.Millisecond || passed < 2*time.Second {
		t.Errorf("2 s took %s really and %s by the clock", real, passed)
	}
	// Both were read one after the other, on a machine that may be busy.
	if difference := passed - 100*real; difference.Abs() > 100*time.Second {
		t.Errorf("%s passed in %s", passed, real)
	}
}

func TestTimersFireInScaledTime(t *testing.T) {
	c := New(1000)
	began := time.Now()
	timer := c.NewTimer(time.Hour)
	if !timer.Stop() {
		t.Error("a timer of 3.6 s has fired at once")
	}
	timer.Reset(10 * time.Second)
	<-timer.C()
	ticker := c.NewTicker(10 * time.Second)
	defer ticker.Stop()
	<-ticker.C()
	<-c.After(10 * time.Second)
	<-c.Tick(10 * time.Second)
	if took := time.Since(began); took < 40*time.Millisecond || took > 10*time.Second {
		t.Errorf("40 s took %s", took)
	}
}

func TestEnvironmentHandsTheClockOver(t *testing.T) {
	c := New(50)
	for _, variable := range c.Environment() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	other, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	// The readings are some real time apart.
	if difference := other.Now().Sub(c.Now()).Abs(); difference > time.Minute {
		t.Errorf("the clocks are %s apart", difference)
	}
	if other.Real(50*time.Second) != time.Second {
		t.Errorf("50 s take %s", other.Real(50*time.Second))
	}
}

func TestEnvironmentThatSaysNothing(t *testing.T) {
	for name, set := range map[string][2]string{
		"nothing":         {"", ""},
		"no factor":       {"1", ""},
		"a standing time": {"1", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EpochVariable, set[0])
			t.Setenv(FactorVariable, set[1])
			if _, err := FromEnvironment(); err == nil {
				t.Error("that is a clock")
			}
		})
	}
}
