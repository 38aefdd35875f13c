# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A check that the user wrote.
# shellcheck disable=SC2034,SC2154

look() {
  prepare || return 0
  in_session "$SR_TIMEOUT" 1024 / "$SR_CHECK" check
  if [ -n "$timed_out" ]; then
    verdict Unhealthy CheckTimedOut "the check did not end within $SR_TIMEOUT s"
    return 0
  fi
  if [ "$exit_code" = 0 ]; then
    verdict Healthy CheckPassed 'the check exited 0'
    return 0
  fi
  settle "$drainer"
  said=$(opening)
  case $exit_code in
    126 | 127) verdict Unknown CheckNotRunnable "the check cannot be run (exit code $exit_code)${said:+: $said}" ;;
    *) verdict Unhealthy CheckFailed "the check exited $exit_code${said:+: $said}" ;;
  esac
}
