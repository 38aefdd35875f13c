# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The recovery: compare and act. Each phase is a line of its own, printed as it happens, so that the report of a script
# that was killed still shows whether it acted. Exit code 0 is recovered or not needed and 1 is anything else; what the
# step exited with is in the report.
# shellcheck disable=SC2034,SC2154

code=''
step_drainer=''

recover() {
  trap 'status=$?; unlock; rm -rf -- "$work" 2>/dev/null; [ "$status" = 0 ] || exit 1' EXIT
  # Comes into effect when the program that runs in the foreground has ended, at the latest at the step's time-out.
  trap 'exit 1' HUP INT TERM
  say started msg=
  refuse
  acquire
  [ ! -e "$kept/ran/$SR_UID" ] || withhold AlreadyRan "this recovery has run on the node before"
  compare
  refuse_late
  prepare || withhold "$reason" "$message"
  record
  act
  verify
  conclude
}

# finish RESULT REASON MESSAGE is the last line, and the end.
finish() {
  unlock
  say "done" "result=$1 reason=$2 exit=${code:--} msg=$(printf '%.200s' "$3")"
  case $1 in
    Recovered | NotNeeded) outcome=0 ;;
    *) outcome=1 ;;
  esac
  [ -z "$step_drainer" ] || output
  exit "$outcome"
}

withhold() {
  finish Withheld "$1" "$2"
}

refuse() {
  ! unfit || withhold "$reason" "$message"
  refuse_late
}

# refuse_late keeps an agent that runs or replays a command late from acting on old news.
refuse_late() {
  now=$(date +%s)
  case $now in
    '' | *[!0-9]*) withhold TooLate 'the clock of the node cannot be read' ;;
  esac
  [ "$now" -le "$SR_NOT_AFTER" ] || withhold TooLate "the recovery had to begin $((now - SR_NOT_AFTER)) s earlier"
}

acquire() {
  lock
  case $? in
    1) withhold OtherRecovery "the node is held by $owner" ;;
    2) withhold CannotRecord "$run cannot be written" ;;
  esac
}

compare() {
  examine
  say_verdict probed
  case $health in
    Unhealthy) ;;
    Healthy) finish NotNeeded "$reason" 'healthy again before anything was done' ;;
    *) withhold "$reason" "$message" ;;
  esac
}

# record makes the marker by which a recovery runs at most once. It is on disk before the step begins, so that it is there
# too when the step takes the node down.
record() {
  marker=$kept/ran/$SR_UID
  mkdir -p "$kept/ran" 2>/dev/null || withhold CannotRecord "$kept/ran cannot be made"
  if ! mkdir "$marker" 2>/dev/null; then
    [ ! -e "$marker" ] || withhold AlreadyRan "this recovery has run on the node before"
    withhold CannotRecord "$marker cannot be made"
  fi
  echo "$SR_BINDING $now" | dd of="$marker/begun" conv=fsync 2>/dev/null ||
    { echo "$SR_BINDING $now" >"$marker/begun"; } 2>/dev/null ||
    withhold CannotRecord "$marker cannot be written"
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

# output prints what the step printed, in lines that cannot be taken for ours.
output() {
  settle "$step_drainer"
  tr -d '\000-\010\013-\037\177' <"$work/output" 2>/dev/null | while IFS= read -r line || [ -n "$line" ]; do
    printf '| %s\n' "$line"
  done
}

recover
