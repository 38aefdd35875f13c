# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The agent keeps a directory for every command, for 14 days: at a probe every half minute that is 40,000 of them. A probe
# therefore remembers its own directory, and removes those of earlier probes after ten minutes, when the agent and the
# controller have long read them. Directories of others, and of recoveries, which are evidence, are left alone.
#
# That of a watch is in use for longer (SR_BOUND), and is remembered as of then. It has a place on the node besides, which
# keeps it safe when the clock is set forward meanwhile.
# shellcheck disable=SC2034,SC2154

sweep() {
  now=$(date +%s)
  case $now in
    '' | *[!0-9]*) return 0 ;;
  esac
  commands=${0%%/document/orchestration/*}/document/orchestration
  command=${0#"$commands/"}
  command=${command%%/*}
  case $0 in
    */../* | */./*) ;;
    /*/document/orchestration/"$command"/*)
      if genuine "$command" && [ "${SSM_COMMAND_ID-$command}" = "$command" ] && mkdir -p "$kept/commands"; then
        : >"$kept/commands/$((now + ${SR_BOUND-0})).$command"
        forget
      fi
      ;;
  esac
  if [ -d "$kept/ran" ]; then
    find "$kept/ran" -mindepth 1 -maxdepth 1 -mtime +60 -exec rm -rf -- '{}' +
  fi
  for path in "$run"/work.*; do
    [ ! -d "$path" ] || [ -e "/proc/${path##*.}" ] || rm -rf -- "$path"
  done
}

# forget removes the directories of old probes, at most 50, which is more than one probe adds.
forget() {
  watching=' '
  for path in "$run/watch"/*; do
    { read -r _ _ _ old <"$path" && watching="$watching$old "; } 2>/dev/null
  done
  set --
  for path in "$kept/commands"/*; do
    time=${path##*/}
    old=${time#*.}
    time=${time%%.*}
    case $time in
      '' | *[!0-9]*) continue ;;
    esac
    genuine "$old" || continue
    case $watching in
      *" $old "*) continue ;;
    esac
    # One of the future is from before the clock was set back.
    [ "$time" -lt $((now - 600)) ] || [ "$time" -gt $((now + 86400)) ] || continue
    set -- "$@" "$commands/$old" "$path"
    [ $# -lt 100 ] || break
  done
  [ $# = 0 ] || rm -rf -- "$@"
}

# genuine tells whether its argument is the id of a command, and so the name of no other directory.
genuine() {
  case $1 in
    *[!0-9a-f-]*) return 1 ;;
    ????????-????-????-????-????????????) return 0 ;;
  esac
  return 1
}
