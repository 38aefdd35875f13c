# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A process by the file in which it keeps its id.
# shellcheck disable=SC2034,SC2154

look() {
  if [ ! -e "$SR_PID_FILE" ]; then
    verdict Unhealthy PIDFileMissing "there is no $SR_PID_FILE"
    return 0
  fi
  if [ ! -f "$SR_PID_FILE" ] || [ ! -r "$SR_PID_FILE" ]; then
    verdict Unknown PIDFileUnreadable "$SR_PID_FILE is not a file that can be read"
    return 0
  fi
  pid=''
  # What is no digit and no blank becomes a letter, so that nothing of it means anything to the shell.
  for pid in $(head -c 4096 "$SR_PID_FILE" 2>/dev/null | tr -d '\000\r' | tr -c '0-9 \t\n' x); do
    break
  done
  case $pid in
    '' | *[!0-9]* | 0* | ???????????*)
      verdict Unhealthy PIDFileInvalid "$SR_PID_FILE does not begin with a process id"
      return 0
      ;;
  esac
  identify
}

# identify tells whether pid is a process of this system, and the one that wrote the file: it cannot be younger than what
# it wrote. The start is in hundredths of a second since boot on every architecture; two seconds are for rounding.
identify() {
  if ! living "$pid" || ! leads; then
    verdict Unhealthy ProcessNotRunning "process $pid of $SR_PID_FILE does not run"
    return 0
  fi
  placed "$pid"
  case $? in
    1) verdict Unhealthy PIDReused "process $pid of $SR_PID_FILE is in a container" && return 0 ;;
    2) verdict Unknown NamespaceUnreadable "the pid namespace of process $pid cannot be read" && return 0 ;;
    3) verdict Unhealthy ProcessNotRunning "process $pid of $SR_PID_FILE does not run" && return 0 ;;
  esac
  written=$(stat -L -c %Y "$SR_PID_FILE" 2>/dev/null)
  booted=''
  while read -r key value; do
    [ "$key" != btime ] || booted=$value
  done </proc/stat
  case $written:$booted in
    :* | *: | *[!0-9:]*)
      verdict Unknown PIDFileUnreadable "the age of $SR_PID_FILE cannot be found out"
      return 0
      ;;
  esac
  if [ $((booted + start / 100)) -gt $((written + 2)) ]; then
    verdict Unhealthy PIDReused "process $pid is younger than $SR_PID_FILE: another process has got its id"
    return 0
  fi
  verdict Healthy ProcessRunning "process $pid runs"
}

# leads tells whether pid is a process and not one of the threads of another, which /proc shows as well when asked.
leads() {
  leader=''
  {
    while read -r key value; do
      if [ "$key" = Tgid: ]; then
        leader=$value
        break
      fi
    done <"/proc/$pid/status"
  } 2>/dev/null
  [ "$leader" = "$pid" ]
}
