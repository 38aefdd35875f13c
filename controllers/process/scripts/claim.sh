# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# What only one script at a time has on a node: the lock of a recovery (lock.sh), and the place of a watch (watch.sh).
#
# A claim is the file with the highest number in its directory. It is taken by making the next one, with its content, in one
# step (a hard link fails when the name is taken), given back by replacing its content, and a stale one is broken by just
# taking the next number. So of two that break the same claim only one wins, and one that has looked before the other won,
# and was slow, finds a higher number than its own and steps back. The highest number is never removed.
# shellcheck disable=SC2034,SC2154

mine=''

# highest DIRECTORY sets number, 0 when there is none.
highest() {
  number=0
  for path in "$1"/*; do
    case ${path##*/} in
      *[!0-9]* | '' | 0*) ;;
      *) [ "${path##*/}" -le "$number" ] || number=${path##*/} ;;
    esac
  done
}

# take DIRECTORY CONTENT takes the number after the one that was found to be stale, once in a script. It fails with 1 when
# another was faster, and with 2 when the claim cannot be written.
take() {
  mkdir -p "$1" "$work" 2>/dev/null || return 2
  # One that a killed script of the same pid has left is linked to its claim, which would change with it.
  rm -f -- "$work/claim" 2>/dev/null || return 2
  { printf '%s\n' "$2" >"$work/claim"; } 2>/dev/null || return 2
  next=$((number + 1))
  if ! ln "$work/claim" "$1/$next" 2>/dev/null; then
    [ -e "$1/$next" ] || return 2
    return 1
  fi
  highest "$1"
  if [ "$number" -ne "$next" ]; then
    rm -f -- "$1/$next"
    return 1
  fi
  mine=$next
  for path in "$1"/*; do
    [ "$path" = "$1/$mine" ] || rm -f -- "$path"
  done
}

# give_back DIRECTORY gives back the claim that is mine.
give_back() {
  [ -n "$mine" ] || return 0
  echo released >"$work/released" && mv -f -- "$work/released" "$1/$mine"
  mine=''
}
