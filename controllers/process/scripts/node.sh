# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# What every script starts with: how it speaks, and whether this node can be looked at, and may be touched, at all.
#
# The files of this folder are joined into one script, after assignments of the parameters (SR_...), and run by dash,
# busybox sh or bash. Lower-case variables are shared between the files.
# shellcheck disable=SC2034,SC2154

set -u
umask 077
cd /

nl='
'
run=/run/ssm-remediator
kept=/var/lib/ssm-remediator
work=$run/work.$$
files=$work/0
drainer=''
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=-

# say KIND WORDS...: one line of the report, at the moment when it is true.
say() {
  said=$1
  shift
  printf 'ssm-remediator/v1 %s %s time=%s %s\n' "$SR_BINDING" "$said" "$(date +%s 2>/dev/null || echo -)" "$*"
}

# clock sets up: whole seconds since boot, which no one can set.
clock() {
  { read -r up _ </proc/uptime; } 2>/dev/null || up=-
  up=${up%%.*}
}

nap() {
  sleep 0.1 2>/dev/null || sleep 1
}

# verdict HEALTH REASON MESSAGE
verdict() {
  health=$1
  reason=$2
  message=$3
}

# say_verdict KIND [WORDS]
say_verdict() {
  clock
  say "$1" "health=$health reason=$reason boot=$boot uptime=$up ${2-}msg=$(printf '%.200s' "$message")"
}

# examine gives the verdict. What makes the look itself worthless comes first (wrong system, missing tools, a container);
# then the operator's word, which is to be seen as such also on a node that is broken otherwise; then the node's own
# trouble, in which a recovery could not even be recorded; then the process. One that is down on a node that has just booted
# is not taken for down yet.
examine() {
  unfit || contained || held || full || {
    look
    booting
  }
}

booting() {
  [ "$health" = Unhealthy ] || return 0
  clock
  case $up in
    '' | *[!0-9]*) verdict Unknown NotLinux 'the time since boot cannot be read' ;;
    *)
      [ "$up" -ge "$SR_GRACE" ] ||
        verdict Held NodeBooting "the node has booted within the last $SR_GRACE s, and may still start the process: $message"
      ;;
  esac
}

# unfit tells what keeps the scripts from running. The probe asks for the tools of the recovery too, so that it is not
# found out in the middle of one.
unfit() {
  { read -r system </proc/sys/kernel/ostype && read -r self _ </proc/self/stat; } 2>/dev/null || system='' self=''
  if [ "$system" != Linux ] || [ "$self" != $$ ] || [ ! -r /proc/uptime ]; then
    verdict Unknown NotLinux 'this is not Linux, or /proc is not mounted or that of another pid namespace'
    return 0
  fi
  for tool in sh cat date dd df find grep head ln mkdir mkfifo mv readlink rm rmdir setsid sleep stat tr; do
    command -v "$tool" >/dev/null 2>&1 && continue
    verdict Unknown MissingTool "the node has no $tool on the PATH of the agent"
    return 0
  done
  return 1
}

# contained tells whether the agent runs in a container, where it sees other processes and files than the host's.
# 4026531836 is the number of the initial pid namespace in every kernel. An operator can declare by a file that this
# container is the machine that is meant.
contained() {
  if [ -e "$run/host" ] || [ -e /etc/ssm-remediator/host ]; then
    return 1
  fi
  why=''
  space=$(readlink /proc/self/ns/pid 2>/dev/null) || space=''
  case $space in
    '' | 'pid:[4026531836]') ;;
    *) why='it has a pid namespace of its own' ;;
  esac
  for sign in /.dockerenv /run/.containerenv; do
    [ ! -e "$sign" ] || why=${why:-there is $sign}
  done
  # shellcheck disable=SC3013 # all three shells have -ef
  if [ -e /proc/1/root/. ] && ! [ /proc/1/root/. -ef /. ]; then
    why=${why:-its root directory is not that of the host}
  fi
  [ -n "$why" ] || return 1
  verdict Unknown AgentInContainer "the SSM agent runs in a container ($why); if that is the machine that is meant: \
touch /etc/ssm-remediator/host"
}

# full tells whether the file system of /var/lib is almost used up. Below 16 MiB or 1000 inodes the agent itself soon
# fails to keep a command (each takes some ten inodes), and a recovery has more to lose than to win. Absolute numbers,
# because one percent is nothing on a small disk and a lot on a large one.
full() {
  available -k
  case $free in
    *[!0-9]* | '') ;;
    *)
      if [ "$free" -lt 16384 ]; then
        verdict Unknown NodeDiskFull "the file system of /var/lib has less than 16 MiB left"
        return 0
      fi
      ;;
  esac
  available -i
  case $free in
    *[!0-9]* | '') return 1 ;;
  esac
  # File systems that make inodes as they go report 0 of 0.
  [ "$total" != 0 ] && [ "$free" -lt 1000 ] || return 1
  verdict Unknown NodeDiskFull "the file system of /var/lib has less than 1000 inodes left"
}

# available OPTION sets free and total: the columns of df before the only one with a percent sign, which are safe to find
# when the device has blanks in its name.
available() {
  total='' used='' free='' share=''
  table=$(df -P "$1" /var/lib 2>/dev/null) || return 0
  table=${table##*"$nl"}
  for word in ${table%"%"*}; do
    total=$used used=$free free=$share share=$word
  done
}
