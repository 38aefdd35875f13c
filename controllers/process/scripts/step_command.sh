# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A step that is a command of the user's: it is run, and the process is looked at until it is healthy.
# shellcheck disable=SC2034,SC2154

ready() {
  prepare || withhold "$reason" "$message"
}

step() {
  act
  verify
  conclude
}

act() {
  say acting msg=
  in_session "$SR_STEP_TIMEOUT" 2048 "$SR_DIRECTORY" "$SR_STEP"
  stopped=$timed_out
  [ -n "$stopped" ] || code=$exit_code
  say acted "exit=${code:--} msg="
  # The checks that follow use the place of it.
  step_drainer=$drainer
  mv -f -- "$files/kept" "$work/output"
}

# verify looks until the process is healthy or the time has passed, at least once.
verify() {
  clock
  begun=$up
  while :; do
    look
    clock
    if [ "$health" = Healthy ] || [ $((up - begun)) -ge "$SR_VERIFY" ]; then
      break
    fi
    sleep 1
  done
  say_verdict verified
}

conclude() {
  if [ -n "$stopped" ]; then
    did="the step was ended after $SR_STEP_TIMEOUT s"
    result=TimedOut
  elif [ "$code" != 0 ]; then
    did="the step exited $code"
    result=Failed
  else
    did='the step exited 0'
    result=Ineffective
  fi
  if [ "$health" = Healthy ]; then
    finish Recovered "$reason" "$did; healthy after $((up - begun)) s"
  fi
  finish "$result" "$reason" "$did; still not healthy after $((up - begun)) s: $message"
}

# output RESULT prints what the step printed, if it is to be kept. What is not, does not leave the node.
output() {
  case $SR_KEEP.$1 in
    Never.* | OnFailure.Recovered) return 0 ;;
  esac
  settle "$step_drainer"
  show '| ' <"$work/output"
}
