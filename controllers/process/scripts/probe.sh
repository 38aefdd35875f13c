# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The probe: one verdict on the first line, then the sweeping. Exit code 0 is healthy and 1 is anything else, so that the
# counts of a command tell whether a whole fleet is healthy.
# shellcheck disable=SC2154

probe() {
  trap 'status=$?; rm -rf -- "$work" 2>/dev/null; [ "$status" = 0 ] || exit 1' EXIT
  trap 'exit 1' HUP INT TERM
  examine
  say_verdict probed
  (sweep) </dev/null >/dev/null 2>&1 || :
  [ "$health" = Healthy ] || exit 1
  exit 0
}

probe
