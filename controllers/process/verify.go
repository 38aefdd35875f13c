// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
)

// Release says when a look gives back the lock that a recovery has kept for a document.
type Release string

const (
	// ReleaseNever is for a document that may still run: the lock expires by itself.
	ReleaseNever Release = ""
	// ReleaseHealthy is for one that has ended, when the look finds the process Healthy.
	ReleaseHealthy Release = "Healthy"
	// ReleaseAlways is for one that has ended, whatever the look finds.
	ReleaseAlways Release = "Always"
)

// VerifyScript is the script of a look at the process after a document or a reboot: a probe that in addition may give back the
// node's lock, if the recovery of that uid has kept it for a document.
// The lock of a reboot is not given back, because the process may seem Healthy while the reboot is still to come; the boot
// ends it. Otherwise a lock expires by itself. ProbeTimeout bounds the script and ReadVerdict reads its verdict. Errors are
// those of ProbeScript, and a uid that is none.
func VerifyScript(c Check, uid, binding string, release Release) (string, error) {
	s := script{marker: "# ssm-remediator probe"}
	s.set("SR_BINDING", binding)
	s.set("SR_UID", uid)
	s.set("SR_RELEASE", string(release))
	if err := errors.Join(checkBinding(binding), checkUID(uid), c.addTo(&s)); err != nil {
		return "", fmt.Errorf("making the verify script: %w", err)
	}
	s.add("sweep.sh", "claim.sh", "locked.sh", "verify.sh")
	text, err := s.render()
	if err != nil {
		return "", fmt.Errorf("making the verify script: %w", err)
	}
	return text, nil
}
