# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A process by its name, as `ps -e` shows it.
# shellcheck disable=SC2034,SC2154

look() {
  unseen=''
  contains=0
  for directory in /proc/[0-9]*; do
    { IFS= read -r comm <"$directory/comm"; } 2>/dev/null || continue
    alike || continue
    pid=${directory#/proc/}
    named || continue
    placed "$pid"
    case $? in
      0)
        verdict Healthy ProcessRunning "process $pid runs"
        return 0
        ;;
      1) contains=$((contains + 1)) ;;
      2) unseen=$pid ;;
    esac
  done
  if [ -n "$unseen" ]; then
    verdict Unknown NamespaceUnreadable "the pid namespace of process $unseen cannot be read, so it may be a container's"
    return 0
  fi
  verdict Unhealthy ProcessNotRunning "no process of the name $SR_NAME runs"
  [ "$contains" = 0 ] || message="$message on the host; $contains in containers do not count"
}

# alike tells whether comm, of which the kernel keeps 15 bytes, may be the name.
alike() {
  [ "$comm" != "$SR_NAME" ] || return 0
  [ -n "$SR_LONG" ] && [ -n "$comm" ] || return 1
  case $SR_NAME in
    "$comm"*) return 0 ;;
  esac
  return 1
}

# named tells whether the process pid runs, is none of ours, and has the name in full.
named() {
  [ "$pid" != $$ ] && [ "$pid" != "$drainer" ] || return 1
  living "$pid" && [ "$parent" != $$ ] && alike || return 1
  # The agent runs `sh -c <script>`: a shell that waits for this one.
  if [ "$pid" = "$PPID" ]; then
    arguments
    case $list in
      *"$0"*) return 1 ;;
    esac
  fi
  [ -n "$SR_LONG" ] || return 0
  arguments
  program=$(readlink "$at/exe" 2>/dev/null)
  program=${program%" (deleted)"}
  [ "${program##*/}" = "$SR_NAME" ] || [ "${first##*/}" = "$SR_NAME" ] || [ "${second##*/}" = "$SR_NAME" ]
}
