# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A step that is a reboot. It is ordered to come when this script has ended, so that the agent can report it, by a session
# that holds nothing of this script. The lock stays: the boot ends it, or its expiry when the boot does not come. It says
# that it is for a reboot, so that a look that finds the process healthy while the reboot is still to come does not give it
# back.
# shellcheck disable=SC2034,SC2154

claimant="$SR_UID (reboot)"

ready() {
  for tool in systemctl reboot shutdown; do
    ! command -v "$tool" >/dev/null 2>&1 || return 0
  done
  withhold MissingTool 'the node has no systemctl, reboot or shutdown on the PATH of the agent'
}

step() {
  mine=''
  say acting msg=
  # shellcheck disable=SC2016 # expands in the other shell
  setsid sh -c 'sleep "$1"; systemctl reboot || reboot || shutdown -r now' ssm-remediator-reboot "$SR_DELAY" \
    </dev/null >/dev/null 2>&1 &
  finish Rebooting "$reason" "the node reboots in $SR_DELAY s: $message"
}
