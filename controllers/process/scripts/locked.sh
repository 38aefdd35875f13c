# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# Who holds the node's lock (lock.sh), and giving it back.
# shellcheck disable=SC2034,SC2154

by=''

# engaged tells whether the lock of that number is held, and sets by and owner. One that cannot be read is.
engaged() {
  by=''
  owner="the lock $run/lock/$number, which cannot be read"
  { read -r from until holder <"$run/lock/$number"; } 2>/dev/null || return 0
  [ "$from" != released ] && [ "$from" = "$boot" ] || return 1
  case $until in
    '' | *[!0-9]*) return 0 ;;
  esac
  [ "$up" -le "$until" ] || return 1
  by=$holder
  owner="the recovery $by for at most $((until - up)) s"
}

unlock() {
  give_back "$run/lock"
}
