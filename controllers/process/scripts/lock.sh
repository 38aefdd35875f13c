# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# One recovery at a time on a node, over all policies.
#
# The lock is the file with the highest number in $run/lock. It is taken by making the next one, with its content, in one
# step (a hard link fails when the name is taken), given back by replacing its content, and a stale one is broken by just
# taking the next number. So of two that break the same lock only one wins, and one that has looked before the other won,
# and was slow, finds a higher number than its own and steps back. The highest number is never removed.
#
# The lock names no descriptor that a step could inherit. It expires after the longest time that the script may run, and
# what has to follow it, on the clock that counts from boot; a boot in between ends it too. A script that was killed keeps
# it until then, because its step may still run.
# shellcheck disable=SC2034,SC2154

claimant=$SR_UID

# lock fails with 1 when another recovery holds the node (owner) and with 2 when the lock cannot be written.
lock() {
  clock
  mkdir -p "$run/lock" "$work" 2>/dev/null || return 2
  { printf '%s %s %s\n' "$boot" $((up + SR_BOUND)) "$claimant" >"$work/claim"; } 2>/dev/null || return 2
  highest
  if [ "$number" -gt 0 ] && engaged; then
    return 1
  fi
  next=$((number + 1))
  if ! ln "$work/claim" "$run/lock/$next" 2>/dev/null; then
    [ -e "$run/lock/$next" ] || return 2
    owner='another that was faster'
    return 1
  fi
  highest
  if [ "$number" -ne "$next" ]; then
    rm -f -- "$run/lock/$next"
    owner='another that was faster'
    return 1
  fi
  mine=$next
  for path in "$run/lock"/*; do
    [ "$path" = "$run/lock/$mine" ] || rm -f -- "$path"
  done
}
