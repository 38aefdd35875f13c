#!/usr/bin/env bash
# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Proves that the import directions in .golangci.yml are enforced: in a copy of the repository it adds one forbidden
# import to each layer, and expects the linter to name every one of them. Before that, the copy has to pass.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lint=${GOLANGCI_LINT:-$root/bin/golangci-lint}

# package, forbidden import, and words of the rule that has to refuse it.
violations=(
	"api/v1alpha1 k8s.io/client-go/rest api"
	"controllers/decide sigs.k8s.io/controller-runtime/pkg/client pure"
	"controllers/decide github.com/ssm-remediator/ssm-remediator/controllers/process independent"
	"controllers/process github.com/aws/aws-sdk-go-v2/service/ssm pure"
	"controllers/runcommand github.com/ssm-remediator/ssm-remediator/controllers/decide carries scripts"
	"controllers/remediationpolicy github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal stands in for AWS"
)

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd "$root" && tar --create --exclude=testdata go.mod go.sum .golangci.yml api controllers) | tar --extract --directory "$copy"
cd "$copy"

packages=()
for violation in "${violations[@]}"; do
	packages+=("./${violation%% *}")
done

depguard() {
	"$lint" run --enable-only depguard --allow-parallel-runners "${packages[@]}" 2>&1
}

echo "Checking that depguard accepts the import directions as they are"
if ! report=$(depguard); then
	echo "$report"
	exit 1
fi

for index in "${!violations[@]}"; do
	read -r package forbidden _ <<<"${violations[index]}"
	printf 'package %s\n\nimport _ "%s"\n' "$(basename "$package")" "$forbidden" >"$package/violation_$index.go"
done
echo "Checking that depguard refuses ${#violations[@]} forbidden imports"
if report=$(depguard); then
	echo "depguard accepted every forbidden import"
	exit 1
fi
for index in "${!violations[@]}"; do
	read -r package forbidden words <<<"${violations[index]}"
	if ! grep -F "$package/violation_$index.go" <<<"$report" | grep -F "'$forbidden'" | grep -qF "$words"; then
		printf '%s\n\ndepguard did not refuse %s in %s\n' "$report" "$forbidden" "$package"
		exit 1
	fi
done
