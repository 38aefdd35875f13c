# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The watch: a probe that stays. As long as the process is healthy it looks every SR_EVERY seconds, for SR_WATCH seconds, and
# it ends the moment that it is not. Down is what SR_THRESHOLD looks in a row have found down: one that is healthy in between
# was a blip. Nothing is printed before the end, because the verdict is the first line and the only one.
#
# It keeps one of the five workers of the agent busy, so at most one of them watches a node, over all policies: its place is
# a claim on $run/watch. One that finds the place taken looks once, as a probe does, and says so (watch=busy).
#
# It holds nothing that a recovery needs. While a recovery has the node's lock, and may be restarting the process, looks at
# a process that is not healthy do not count, but for no longer than SR_PATIENCE seconds in a row: a lock may stay for long
# (that of a script that was killed, or that of a document), and what is down is not to be hidden for all that time.
#
# All times are by the clock that counts from boot.
# shellcheck disable=SC2034,SC2154

failures=0
since=''
words=''

keep_watch() {
  trap 'status=$?; give_back "$run/watch"; rm -rf -- "$work" 2>/dev/null; [ "$status" = 0 ] || exit 1' EXIT
  # Comes into effect when the program that runs in the foreground has ended: a sleep, or a look.
  trap 'exit 1' HUP INT TERM
  clock
  begun=$up
  examine
  if [ "$health" = Healthy ] && occupy; then
    # Before it stays, because it may be killed.
    clean
    stay
    report
  else
    report
    clean
  fi
  # Counts show that a command has failed on a node, and nothing of one that has succeeded: whom nobody watches has to be seen.
  [ "$health" = Healthy ] || exit 1
  [ -n "$mine" ] || exit 1
  exit 0
}

clean() {
  (sweep) </dev/null >/dev/null 2>&1 || :
}

report() {
  [ "$failures" = 0 ] || [ "$health" != Unhealthy ] || words="failures=$failures "
  say_verdict probed "$words"
}

# occupy takes the place of the watch on the node, or fails, also when that cannot be written.
occupy() {
  highest "$run/watch"
  if { [ "$number" = 0 ] || ! taken; } && stat_of "/proc/$$" &&
    take "$run/watch" "$boot $$ $start ${SSM_COMMAND_ID:--}"; then
    return 0
  fi
  words='watch=busy '
  return 1
}

# taken tells whether the claim of that number is that of a script that lives. The start tells it from a later process of the
# same id.
taken() {
  { read -r from other born _ <"$run/watch/$number"; } 2>/dev/null && [ "$from" = "$boot" ] || return 1
  case $other in
    '' | *[!0-9]*) return 1 ;;
  esac
  stat_of "/proc/$other" && [ "$start" = "$born" ] || return 1
  case $state in
    [ZXx]) return 1 ;;
  esac
}

# stay returns when the watch is over, with the verdict of the last look.
stay() {
  while :; do
    # Looks without a pause would be a storm.
    sleep "$SR_EVERY" || exit 1
    clock
    traffic
    before=$recovery
    examine
    clock
    if [ "$health" = Healthy ]; then
      failures=0 since=''
    else
      ! excused || continue
      [ "$health" = Unhealthy ] || return 0
      failures=$((failures + 1))
      [ "$failures" -lt "$SR_THRESHOLD" ] || return 0
    fi
    [ $((up - begun)) -lt "$SR_WATCH" ] || return 0
  done
}

# traffic sets recovery: held when a recovery holds the node, and otherwise the number of the last lock. When that is the
# same before and after a look, no recovery came and went meanwhile.
traffic() {
  highest "$run/lock"
  recovery=$number
  [ "$number" = 0 ] || ! engaged || recovery=held
}

# excused tells whether the last look does not count, because a recovery was at work.
excused() {
  traffic
  if [ "$recovery" != held ] && [ "$recovery" = "$before" ]; then
    since=''
    return 1
  fi
  since=${since:-$up}
  [ $((up - since)) -lt "$SR_PATIENCE" ] || return 1
  failures=0
}

keep_watch
