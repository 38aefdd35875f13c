// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package remediation

import (
	"strings"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand"
)

const testBinding = "0b5b3a35-6a3e-4b0e-9a43-2b1f7d0a3f10/Run"

const (
	oldBoot = "11111111-0000-4000-8000-000000000000"
	newBoot = "22222222-0000-4000-8000-000000000000"

	started  = "started time=1790000000 msg="
	evidence = "evidence time=1790000000 exit1=3 exit2=- msg="
	down     = "probed time=1790000000 health=Unhealthy reason=ProcessNotRunning boot=" + oldBoot + " uptime=9999 msg=no process apache2"
	healthy  = "probed time=1790000000 health=Healthy reason=ProcessRunning boot=" + oldBoot + " uptime=9999 msg=apache2 runs"
	acting   = "acting time=1790000000 msg="
	acted    = "acted time=1790000001 exit=0 msg="
	after    = "verified time=1790000002 health=Healthy reason=ProcessRunning boot=" + oldBoot + " uptime=9999 msg=apache2 runs"

	doneRecovered = "done time=1790000002 result=Recovered reason=ProcessRunning exit=0 msg=the step exited 0; healthy after 1 s"
	doneTooLate   = "done time=1790000000 result=Withheld reason=TooLate exit=- msg=it had to begin 9 s earlier"
	doneBefore    = "done time=1790000000 result=Withheld reason=AlreadyRan exit=- msg=it has run before"
	doneNotNeeded = "done time=1790000000 result=NotNeeded reason=ProcessRunning exit=- msg=healthy again"
	doneCleared   = "done time=1790000000 result=Cleared reason=ProcessNotRunning exit=- msg=no process apache2"
	doneRebooting = "done time=1790000000 result=Rebooting reason=ProcessNotRunning exit=- msg=the node reboots in 5 s"
)

// report is what the node prints, one of its lines an argument.
func report(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("ssm-remediator/v1 " + testBinding + " " + line + "\n")
	}
	return b.String()
}

// whole is the report of a command that has recovered the process.
var whole = report(started, down, acting, acted, after, doneRecovered)

// ended is a command that has ended with a status, a code and an output.
func ended(status runcommand.Status, code int, output string) runcommand.Invocation {
	return runcommand.Invocation{Status: status, StatusText: string(status), ResponseCode: code, Output: output}
}
