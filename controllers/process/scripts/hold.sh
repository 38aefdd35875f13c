# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# Hold files: by them the node says hands off.
# shellcheck disable=SC2034,SC2154

held() {
  for path in "$run/hold" /etc/ssm-remediator/hold \
    "$run/hold.$SR_NAMESPACE.$SR_POLICY" "/etc/ssm-remediator/hold.$SR_NAMESPACE.$SR_POLICY"; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    ! holds || return 0
  done
  return 1
}

# holds tells whether the hold file at path is in force: until the time that it contains, or for 24 hours. A file whose
# time cannot be found out holds, because that errs to the side of doing nothing.
holds() {
  now=$(date +%s)
  text=$(head -c 64 "$path" 2>/dev/null | tr -d '\000\r')
  text=${text%%"$nl"*}
  if instant "$text"; then
    [ "$now" -lt "$instant" ] || return 1
    verdict Held HoldFile "held by $path until $text"
    return 0
  fi
  written=$(stat -L -c %Y "$path" 2>/dev/null)
  case $written in
    '' | *[!0-9]*)
      verdict Held HoldFile "held by $path"
      return 0
      ;;
  esac
  # Whole hours: a message that is another one at each probe would be another status each time.
  left=$((written + 86400 - now))
  [ "$left" -gt 0 ] || return 1
  verdict Held HoldFile "held by $path; warning: it gives no time (RFC 3339), so it lapses 24 hours after it was written, \
in $(((left + 3599) / 3600)) hours"
}

# instant TEXT sets instant to the Unix time that TEXT gives as in RFC 3339, or fails. GNU date and busybox date read
# such a text differently, hence by arithmetic.
instant() {
  text=${1%"${1##*[! ]}"}
  case $text in
    [1-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][Tt\ ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]?*) ;;
    *) return 1 ;;
  esac
  day=${text%%[Tt ]*}
  rest=${text#*[Tt ]}
  year=${day%%-*}
  month=${day#*-}
  month=${month%-*} month=${month#0}
  day=${day##*-} day=${day#0}
  hour=${rest%%:*} hour=${hour#0}
  rest=${rest#*:}
  minute=${rest%%:*} minute=${minute#0}
  rest=${rest#*:}
  zone=${rest#??}
  second=${rest%"$zone"} second=${second#0}
  [ "$month" -ge 1 ] && [ "$month" -le 12 ] && [ "$day" -ge 1 ] && [ "$day" -le 31 ] &&
    [ "$hour" -le 23 ] && [ "$minute" -le 59 ] && [ "$second" -le 60 ] || return 1
  case $zone in
    .[0-9]*)
      zone=${zone#.}
      while :; do
        case $zone in
          [0-9]*) zone=${zone#?} ;;
          *) break ;;
        esac
      done
      ;;
  esac
  ahead "$zone" || return 1
  # Days since 1970, with years that begin in March, so that the leap day is the last of its year.
  [ "$month" -gt 2 ] || year=$((year - 1))
  days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day - 719469))
  instant=$((days * 86400 + hour * 3600 + minute * 60 + second - offset))
}

# ahead ZONE sets offset: seconds ahead of UTC.
ahead() {
  case $1 in
    [Zz])
      offset=0
      return 0
      ;;
    [+-][0-2][0-9]:[0-5][0-9]) ;;
    *) return 1 ;;
  esac
  hours=${1%:*} hours=${hours#?} hours=${hours#0}
  minutes=${1#*:} minutes=${minutes#0}
  offset=$((hours * 3600 + minutes * 60))
  case $1 in
    -*) offset=$((-offset)) ;;
  esac
}
