# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# Running what the user wrote: in a session of its own, for a limited time, with its output drained.
#
#   this script ── timer (ends the session when the time is up)
#        │
#        ├── leader of a session ── sh -c COMMAND ── stdout, stderr ──▶ pipe ──▶ drainer, in a session of its own:
#        ╵                                                                  keeps the beginning, swallows the rest
#
# What COMMAND leaves behind outlives this script, and the kill of its process group, and so does the drainer for as long
# as someone writes: no SIGPIPE, no full disk. Neither holds this script's output, so that the SSM command ends at once.
# The timer dies with this script when the agent kills the group: what then still runs is not ended by anyone, which is
# why a recovery that was killed keeps its lock.
#
# COMMAND is not started with `&`, because a shell makes such processes ignore SIGINT and SIGQUIT for good.
# shellcheck disable=SC2034,SC2154

# prepare makes the files that in_session needs, under a new name each time, or fails with the verdict.
prepare() {
  rm -rf -- "$files" 2>/dev/null
  files=$work/$((${files##*/} + 1))
  if mkdir -p "$files/running" 2>/dev/null && mkfifo "$files/pipe" 2>/dev/null && { : >"$files/kept"; } 2>/dev/null; then
    return 0
  fi
  verdict Unknown ScratchUnavailable "$run cannot be written"
  return 1
}

# in_session SECONDS BYTES DIRECTORY COMMAND [MARK] sets exit_code and timed_out, and leaves the first BYTES of output in
# $files/kept. With a MARK, COMMAND carries it in its environment, so that at the end of the time also what has left its
# session and its parents is found.
in_session() {
  timed_out='' mark=''
  if [ -n "${5-}" ]; then
    clock
    mark=$5.$$.$up
  fi
  # A named pipe that is open for both does not block, and gives a reading and a writing end to close one by one. All is
  # opened here, because the drainer may get to run only when the files are gone again.
  # shellcheck disable=SC2094 # nothing is read or written yet
  exec 8<>"$files/pipe" 9<"$files/pipe" 7>"$files/pipe" 8<&- 6>"$files/kept"
  # shellcheck disable=SC2016 # expands in the other shell
  setsid sh -c 'dd bs=1 count="$1"; exec cat >/dev/null' ssm-remediator-output "$2" <&9 >&6 2>/dev/null \
    6>&- 7>&- 9<&- &
  drainer=$!
  exec 6>&- 9<&-
  # With exec, because a shell that redirects a function keeps what it had, and the timer may outlive this script.
  (
    exec </dev/null >/dev/null 2>&1 7>&-
    time_out "$1"
  ) &
  timer=$!
  # The leader does not become the command: busybox sh, which ignores SIGQUIT for itself, would pass that on. The standard
  # error of shells that only wait goes nowhere, because they comment on how a command ended; this one is not redirected
  # itself, which dash would do for a command that it runs. The blank keeps a leading - from being an option.
  {
    # shellcheck disable=SC2016 # expands in the other shell
    (exec setsid sh -c 'echo $$ >"$1"
umask 022
cd -- "$2" || exit 1
[ -z "$4" ] || export SSM_REMEDIATOR_CHECK="$4"
exec 6>&2 2>/dev/null
(exec 2>&6 6>&-; exec sh -c " $3")
exit $?' sh "$files/leader" "$3" "$4" "$mark" </dev/null >&7 2>&1 7>&-)
    exit_code=$?
  } 2>/dev/null
  exec 7>&-
  # Either this or the timer takes the directory away, and so decides which came first: the end or the time-out. The
  # timer sees within a second that it is gone. A signal could be lost while the timer starts.
  if ! rmdir "$files/running" 2>/dev/null; then
    wait "$timer"
    timed_out=1
  fi
}

# time_out SECONDS ends the session when they have passed.
time_out() {
  clock
  begun=$up
  while [ $((up - begun)) -lt "$1" ]; do
    sleep 1
    [ -e "$files/running" ] || return 0
    clock
  done
  rmdir "$files/running" || return 0
  until [ -s "$files/leader" ]; do
    nap
  done
  read -r leader <"$files/leader"
  family=' '
  for signal in TERM KILL KILL; do
    gather
    # shellcheck disable=SC2046 # numbers, to be split
    kill -s "$signal" $(survivors)
    tries=0
    while [ "$tries" -lt 20 ] && [ -n "$(survivors)" ]; do
      tries=$((tries + 1))
      nap
    done
    [ -n "$(survivors)" ] || break
  done
}

# gather adds to family, as pid:start, the session of leader and all its descendants, those in other sessions too.
gather() {
  marked=' '
  if [ -n "$mark" ]; then
    marked=$(grep -l "SSM_REMEDIATOR_CHECK=$mark" /proc/[0-9]*/environ 2>/dev/null)
    marked=" $(printf %s "$marked" | tr -c 0-9 ' ') "
  fi
  grown=1
  while [ -n "$grown" ]; do
    grown=''
    for directory in /proc/[0-9]*; do
      pid=${directory#/proc/}
      case $family in
        *" $pid:"*) continue ;;
      esac
      if stat_of "$directory" && related; then
        family="$family$pid:$start "
        grown=1
      fi
    done
  done
}

related() {
  [ "$session" != "$leader" ] || return 0
  case $family in
    *" $parent:"*) return 0 ;;
  esac
  case $marked in
    *" $pid "*) return 0 ;;
  esac
  return 1
}

# survivors prints those of family that still run. The start tells a process from a later one of the same id.
survivors() {
  for member in $family; do
    stat_of "/proc/${member%:*}" || continue
    case $start:$state in
      "${member#*:}":[!ZXx]) printf '%s ' "${member%:*}" ;;
    esac
  done
}

# settle DRAINER gives the drainer a moment to take what the command has written before it ended: until it has ended, or
# for half a second when something that the command left behind holds the pipe.
settle() {
  tries=0
  while [ -e "/proc/$1/exe" ] && [ "$tries" -lt 5 ]; do
    tries=$((tries + 1))
    nap
  done
}

# opening prints the first line of the output that is not empty, without control characters.
opening() {
  tr '\t\r' '  ' <"$files/kept" | tr -d '\000-\011\013-\037\177' | {
    while IFS= read -r line || [ -n "$line" ]; do
      [ -z "$line" ] || break
    done
    printf '%.160s' "$line"
  }
}
