# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A unit of systemd.
# shellcheck disable=SC2034,SC2154

look() {
  if ! command -v systemctl >/dev/null 2>&1; then
    verdict Unknown MissingTool 'the node has no systemctl on the PATH of the agent'
    return 0
  fi
  prepare || return 0
  in_session "$SR_TIMEOUT" 1024 / \
    "exec systemctl show --no-pager --property=LoadState,ActiveState,SubState,Result -- '$SR_UNIT'" check
  if [ -n "$timed_out" ]; then
    verdict Unknown SystemdUnavailable "systemctl did not answer within $SR_TIMEOUT s"
    return 0
  fi
  settle "$drainer"
  load='' active='' sub='' result=''
  while IFS='=' read -r key value; do
    case $key in
      LoadState) load=$value ;;
      ActiveState) active=$value ;;
      SubState) sub=$value ;;
      Result) result=$value ;;
    esac
  done <"$files/kept"
  if [ "$exit_code" != 0 ] || [ -z "$load" ] || [ -z "$active" ]; then
    verdict Unknown SystemdUnavailable "systemctl exited $exit_code: $(opening)"
    return 0
  fi
  judge
}

judge() {
  case $load in
    loaded | merged | stub) ;;
    not-found)
      verdict Unknown UnitNotFound "there is no unit $SR_UNIT"
      return 0
      ;;
    masked)
      verdict Held UnitMasked "$SR_UNIT is masked"
      return 0
      ;;
    *)
      verdict Unknown UnitNotLoaded "$SR_UNIT cannot be loaded ($load)"
      return 0
      ;;
  esac
  message="$SR_UNIT is $active ($sub${result:+, $result})"
  case $active in
    active) verdict Healthy UnitActive "$message" ;;
    inactive)
      if [ -n "$SR_HOLD_STOPPED" ] && [ "$result" = success ]; then
        verdict Held UnitStopped "$message: it was stopped in order"
      else
        verdict Unhealthy UnitInactive "$message"
      fi
      ;;
    failed) verdict Unhealthy UnitFailed "$message" ;;
    activating | deactivating | reloading | refreshing | maintenance) verdict Held UnitChanging "$message" ;;
    *) verdict Unknown UnitNotLoaded "$message" ;;
  esac
}
