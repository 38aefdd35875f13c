# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# The evidence: what users want to see of a process that is down, before anything is touched.
# shellcheck disable=SC2034,SC2154

# gather_evidence runs the commands one by one. None begins when there might not be the time any more for it, and for
# another look, before the recovery comes too late: evidence never keeps a recovery from going on.
gather_evidence() {
  clock
  since=$up
  exits=''
  for wanted in "$SR_EVIDENCE_1" "$SR_EVIDENCE_2" "$SR_EVIDENCE_3" "$SR_EVIDENCE_4"; do
    { [ -n "$wanted" ] && [ "$(date +%s)" -le "$SR_EVIDENCE_BEFORE" ] && prepare; } || break
    gathered=$((gathered + 1))
    in_session "$SR_EVIDENCE_TIMEOUT" 1024 / "$wanted" "evidence$gathered"
    settle "$drainer"
    mv -f -- "$files/kept" "$work/evidence$gathered"
    [ -z "$timed_out" ] || exit_code=-
    exits="${exits}exit$gathered=$exit_code "
  done
  [ "$gathered" = 0 ] || say evidence "${exits}msg="
  # What is acted on is not older than that.
  clock
  if [ "$health" != Unhealthy ] || [ $((up - since)) -ge 2 ]; then
    examine
  fi
}

# evidence prints it. Without blank lines, so that the prefixes do not make it more than AWS keeps.
evidence() {
  count=0
  while [ "$count" -lt "$gathered" ]; do
    count=$((count + 1))
    tr -s '\n' <"$work/evidence$count" | show "$count| "
  done
}
