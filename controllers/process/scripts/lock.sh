# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# One recovery at a time on a node, over all policies: the lock is a claim on $run/lock.
#
# The lock names no descriptor that a step could inherit. It expires after the longest time that the script may run, and
# what has to follow it, on the clock that counts from boot; a boot in between ends it too. A script that was killed keeps
# it until then, because its step may still run.
# shellcheck disable=SC2034,SC2154

claimant=$SR_UID

# lock fails with 1 when another recovery holds the node (owner) and with 2 when the lock cannot be written.
lock() {
  clock
  highest "$run/lock"
  if [ "$number" -gt 0 ] && engaged; then
    return 1
  fi
  owner='another that was faster'
  take "$run/lock" "$boot $((up + SR_BOUND)) $claimant"
}
