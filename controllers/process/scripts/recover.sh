# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The recovery: compare and act. Each phase is a line of its own, printed as it happens, so that the report of a script
# that was killed still shows whether it acted. Exit code 0 means that the script has done its part or had nothing to do,
# and 1 is anything else; what the step exited with is in the report.
#
# What is done is in the step_*.sh: ready, the last that may keep it from being done, and step.
# shellcheck disable=SC2034,SC2154

code=''
step_drainer=''
gathered=0

recover() {
  trap 'status=$?; unlock; rm -rf -- "$work" 2>/dev/null; [ "$status" = 0 ] || exit 1' EXIT
  # Comes into effect when the program that runs in the foreground has ended, at the latest at the step's time-out.
  trap 'exit 1' HUP INT TERM
  say started msg=
  once
  refuse
  acquire
  once
  compare
  refuse_late
  ready
  record
  step
}

# finish RESULT REASON MESSAGE is the last line of ours, and the end.
finish() {
  unlock
  say "done" "result=$1 reason=$2 exit=${code:--} msg=$(printf '%.200s' "$3")"
  case $1 in
    Recovered | NotNeeded | Rebooting | Cleared) outcome=0 ;;
    *) outcome=1 ;;
  esac
  [ -z "$step_drainer" ] || output "$1"
  [ "$gathered" = 0 ] || evidence
  exit "$outcome"
}

# show PREFIX prints its input in lines that cannot be taken for ours.
show() {
  tr -d '\000-\010\013-\037\177' | while IFS= read -r line || [ -n "$line" ]; do
    printf '%s%s\n' "$1" "$line"
  done
}

withhold() {
  finish Withheld "$1" "$2"
}

# once comes first, so that a recovery that has run is never taken for one that was refused; and again under the lock.
once() {
  [ ! -e "$kept/ran/$SR_UID" ] || withhold AlreadyRan 'this recovery has run on the node before'
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
    1)
      [ "$by" != "$claimant" ] || withhold AlreadyRan 'this recovery is running on the node'
      withhold OtherRecovery "the node is held by $owner"
      ;;
    2) withhold CannotRecord "$run cannot be written" ;;
  esac
}

compare() {
  examine
  if [ "$health" = Unhealthy ] && [ -n "$SR_EVIDENCE_1" ]; then
    gather_evidence
  fi
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
    once
    withhold CannotRecord "$marker cannot be made"
  fi
  echo "$SR_BINDING $now" | dd of="$marker/begun" conv=fsync 2>/dev/null ||
    { echo "$SR_BINDING $now" >"$marker/begun"; } 2>/dev/null ||
    withhold CannotRecord "$marker cannot be written"
}

recover
