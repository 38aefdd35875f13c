# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The look after a document or a reboot: a probe that in addition gives back the lock that the recovery has kept.
# shellcheck disable=SC2034,SC2154

verify() {
  trap 'status=$?; rm -rf -- "$work" 2>/dev/null; [ "$status" = 0 ] || exit 1' EXIT
  trap 'exit 1' HUP INT TERM
  examine
  case $SR_RELEASE in
  Always | "$health") release ;;
  esac
  say_verdict probed
  (sweep) </dev/null >/dev/null 2>&1 || :
  [ "$health" = Healthy ] || exit 1
  exit 0
}

# release gives back the lock if it is that of SR_UID. That of a reboot is not: the boot ends it.
release() {
  clock
  highest "$run/lock"
  [ "$number" -gt 0 ] && engaged && [ "$by" = "$SR_UID" ] || return 0
  mkdir -p "$work" 2>/dev/null || return 0
  mine=$number
  unlock
}

verify
