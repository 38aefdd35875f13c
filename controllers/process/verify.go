// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
)

// VerifyScript is the script of a look at the process after a document or a reboot: a probe that in addition gives back the
// node's lock, if the recovery of that uid has kept it for a document, when it finds the process Healthy or is the last look.
// The lock of a reboot is not given back, because the process may seem Healthy while the reboot is still to come; the boot
// ends it. Otherwise a lock expires by itself. ProbeTimeout bounds the script and ReadVerdict reads its verdict. Errors are
// those of ProbeScript, and a uid that is none.
func VerifyScript(c Check, uid, binding string, last bool) (string, error) {
	s := script{marker: "# ssm-remediator probe"}
	s.set("SR_BINDING", binding)
	s.set("SR_UID", uid)
	s.setFlag("SR_LAST", last)
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
