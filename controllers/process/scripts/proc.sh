# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# Reading /proc with nothing but the shell: a node may have thousands of processes, and a fork for each would cost more
# than the look.
# shellcheck disable=SC2034,SC2154

# stat_of DIRECTORY sets comm, state, parent, session and start of the process or thread. The name may hold blanks,
# parentheses and line breaks; after its last parenthesis there are only numbers.
stat_of() {
  line='' text=''
  {
    while IFS= read -r line; do
      text=$text$line$nl
    done <"$1/stat"
  } 2>/dev/null
  case $text in
    *') '*) ;;
    *) return 1 ;;
  esac
  comm=${text#*"("}
  comm=${comm%") "*}
  # shellcheck disable=SC2086 # numbers, to be split
  set -- ${text##*") "}
  state=$1 parent=$2 session=$4 start=${20}
}

# living PID tells whether the process runs: it is not a zombie, or its first thread has ended and others go on. It sets
# what stat_of does, and at: where to look closer, because a thread that has ended shows neither program nor arguments.
living() {
  at=/proc/$1
  stat_of "$at" || return 1
  case $state in
    [ZXx]) ;;
    *) return 0 ;;
  esac
  name=$comm
  for at in "/proc/$1/task"/*; do
    stat_of "$at" || continue
    comm=$name
    case $state in
      [ZXx]) ;;
      *) return 0 ;;
    esac
  done
  return 1
}

# placed PID tells by its status where the process, at which living has looked, runs: 0 here, 1 in another pid namespace,
# which is that of a container, 2 nobody knows, 3 it is gone.
placed() {
  # shellcheck disable=SC3013 # all three shells have -ef
  if [ ! -e /proc/self/ns/pid ] || [ "$at/ns/pid" -ef /proc/self/ns/pid ]; then
    return 0
  fi
  [ ! -e "$at/ns/pid" ] || return 1
  living "$1" || return 3
  [ ! -e "$at/ns/pid" ] || return 1
  return 2
}

# arguments sets first and second: the first two arguments of the process at which living has looked.
arguments() {
  list=$(head -c 4096 "$at/cmdline" 2>/dev/null | tr '\000' '\n')
  first=${list%%"$nl"*}
  second=''
  case $list in
    *"$nl"*) second=${list#*"$nl"} ;;
  esac
  second=${second%%"$nl"*}
}
