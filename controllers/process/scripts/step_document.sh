# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0

# A step that is a document of Systems Manager: a command of its own, which is sent when this script has cleared the node for
# it. The lock stays until that has been verified, or expires.
# shellcheck disable=SC2034,SC2154

ready() {
  :
}

step() {
  mine=''
  finish Cleared "$reason" "$message"
}
