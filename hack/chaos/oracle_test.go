// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

// attempt is a Remediation that was opened so long after noon, with a result and the time that it took; Running without.
func attempt(uid string, instance string, sequence int64, opened time.Duration, result v1alpha1.Result) *v1alpha1.Remediation {
	r := &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), Name: "httpd-" + uid},
		Spec: v1alpha1.RemediationSpec{
			PolicyRef: v1alpha1.PolicyReference{Name: "httpd"}, InstanceID: v1alpha1.InstanceID(instance), Sequence: sequence,
			OpenTime: metav1.NewMicroTime(noon.Add(opened)),
		},
	}
	if result != v1alpha1.ResultRunning {
		r.Status.CompletionTime = new(metav1.NewMicroTime(noon.Add(opened + 5*time.Second)))
		r.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: string(result),
		}}
	}
	return r
}

func newHistory() *history {
	return &history{records: map[types.UID]*record{}, running: map[types.UID]bool{}, mostRunning: map[string]int{}}
}

// judged are the violations that the oracles find in a history.
func judged(t *testing.T, h *history) []string {
	t.Helper()
	r := &run{row: &row{fault: noFault}, history: h, directory: t.TempDir()}
	res := &result{row: r.row, results: map[v1alpha1.Result]int{}}
	r.judgeRecords(res)
	return res.violations
}

func TestOraclesOfRecords(t *testing.T) {
	const recovered, running = v1alpha1.ResultRecovered, v1alpha1.ResultRunning
	for name, c := range map[string]struct {
		see  func(*history)
		want string
	}{
		"as it should be": {see: func(h *history) {
			for n := range int64(attempts) {
				uid := fmt.Sprint(n)
				h.see(attempt(uid, "i-1", n+1, time.Duration(n)*time.Minute, running), false)
				h.see(attempt(uid, "i-1", n+1, time.Duration(n)*time.Minute, recovered), false)
			}
		}},
		"no result": {see: func(h *history) { h.see(attempt("a", "i-1", 1, 0, running), false) }, want: "1 Remediations without a result"},
		"gone without a result": {see: func(h *history) {
			h.see(attempt("a", "i-1", 1, 0, running), false)
			h.leave(map[types.UID]bool{})
		}, want: "1 Remediations without a result"},
		"another result": {see: func(h *history) {
			h.see(attempt("a", "i-1", 1, 0, recovered), false)
			h.see(attempt("a", "i-1", 1, 0, v1alpha1.ResultLost), false)
		}, want: "a result changed: httpd-a was Recovered and became Lost"},
		"too many attempts": {see: func(h *history) {
			for n := range int64(attempts + 1) {
				h.see(attempt(fmt.Sprint(n), "i-1", n+1, time.Duration(n)*time.Minute, recovered), false)
			}
		}, want: "4 attempts of httpd on i-1 within 10m0s"},
		"too many at once": {see: func(h *history) {
			for n := range maxConcurrent + 1 {
				h.see(attempt(fmt.Sprint(n), fmt.Sprint("i-", n), 1, 0, running), false)
			}
			for n := range maxConcurrent + 1 {
				h.see(attempt(fmt.Sprint(n), fmt.Sprint("i-", n), 1, 0, recovered), false)
			}
		}, want: "4 instances of httpd under recovery at once"},
		"a sequence again": {see: func(h *history) {
			h.see(attempt("a", "i-1", 1, 0, recovered), true)
			h.see(attempt("b", "i-1", 1, time.Minute, recovered), false)
		}, want: "a sequence number was given again: httpd on i-1: 1 of httpd-b after 1 of httpd-a"},
		"a sequence again after the incident": {see: func(h *history) {
			h.see(attempt("a", "i-1", 1, 0, recovered), true)
			h.see(attempt("b", "i-1", 1, stable+time.Minute, recovered), false)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory()
			c.see(h)
			if got := strings.Join(judged(t, h), "; "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOpenRemediations(t *testing.T) {
	h := newHistory()
	held := attempt("b", "i-2", 1, 0, v1alpha1.ResultRecovered)
	held.Finalizers = []string{v1alpha1.FinalizerInFlight}
	h.see(attempt("a", "i-1", 1, 0, v1alpha1.ResultRunning), false)
	h.see(held, false)
	h.see(attempt("c", "i-3", 1, 0, v1alpha1.ResultRecovered), false)
	h.see(attempt("d", "i-4", 1, 0, v1alpha1.ResultRunning), true)
	got := h.open()
	slices.Sort(got)
	if want := []string{"httpd-a", "httpd-b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOracleOfLogs(t *testing.T) {
	r := &run{directory: t.TempDir()}
	text := `{"level":"info","msg":"Remediation ended"}` + "\nWARNING: DATA RACE\n" + `{"msg":"Observed a panic"}` + "\n"
	if err := os.WriteFile(filepath.Join(r.directory, "manager-a.log"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	res := &result{}
	r.judgeLogs(res)
	want := []string{"manager-a.log: WARNING: DATA RACE", `manager-a.log: {"msg":"Observed a panic"}`}
	if !slices.Equal(res.violations, want) {
		t.Errorf("got %q, want %q", res.violations, want)
	}
}

func TestRows(t *testing.T) {
	names := map[string]bool{}
	bounded := 0
	for _, r := range rows() {
		if names[r.name()] {
			t.Errorf("there are two rows %q", r.name())
		}
		names[r.name()] = true
		if r.bounded {
			bounded++
		}
	}
	// The acceptance: 150 incidents in CI, and 1,000 in all.
	if bounded*usualIncidents < 150 || len(names)*usualIncidents < 1000 {
		t.Errorf("%d rows of %d have %d incidents each", bounded, len(names), usualIncidents)
	}
}

func TestHistoryIsBehind(t *testing.T) {
	h := newHistory()
	seen, changed, restored := attempt("a", "i-1", 1, 0, v1alpha1.ResultRecovered), attempt("b", "i-2", 1, 0, v1alpha1.ResultRunning),
		attempt("c", "i-3", 1, 0, v1alpha1.ResultRunning)
	seen.ResourceVersion, changed.ResourceVersion, restored.ResourceVersion = "7", "8", "10"
	h.see(seen, false)
	h.see(changed, false)
	changed = changed.DeepCopy()
	changed.ResourceVersion = "9"
	there := []v1alpha1.Remediation{*seen, *changed, *restored}
	if unseen := h.unseen(there); !slices.Equal(unseen, []string{"httpd-b", "httpd-c"}) {
		t.Errorf("before: %q", unseen)
	}
	h.see(changed, false)
	h.see(restored, false)
	if unseen := h.unseen(there); len(unseen) > 0 {
		t.Errorf("after: %q", unseen)
	}
}
