#!/usr/bin/env bash
# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Prints the directory that holds the wanted binaries of a Kubernetes control plane, and sees to it that they are there.
#
#   hack/controlplane/assets.sh etcd kube-apiserver kubectl kube-controller-manager
#
# Looked for in this order: KUBEBUILDER_ASSETS, bin/controlplane, a cache of our own. What the cache lacks is downloaded
# with setup-envtest where its server can be reached, and otherwise built from the Go modules that go.mod beside this
# script pins: that takes minutes, but needs nothing except Go and a module proxy. Only the directory goes to stdout.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
go=${GO:-go}

# The index is small: when it does not come at once, the download will not come either.
index_seconds=15
download_seconds=300

say() { echo "controlplane: $*" >&2; }

# missing DIR NAME...: prints those names that are no executables in DIR.
missing() {
	local dir=$1 name
	shift
	for name; do
		[[ -x $dir/$name ]] || echo "$name"
	done
}

package_of() {
	case $1 in
	etcd) echo go.etcd.io/etcd/server/v3 ;;
	kube-apiserver | kube-controller-manager | kubectl) echo "k8s.io/kubernetes/cmd/$1" ;;
	*)
		say "does not know how to get '$1'; it knows etcd, kube-apiserver, kube-controller-manager and kubectl"
		return 2
		;;
	esac
}

# Measured on two cores, nothing compiled before; each further binary shares most packages with the first.
expectation_of() {
	case $1 in
	etcd) echo "about 1 minute on 2 cores" ;;
	kube-apiserver) echo "about 4 minutes on 2 cores" ;;
	*) echo "about 1 to 2 minutes on 2 cores" ;;
	esac
}

# download CACHE VERSION NAME...: fetches the three binaries of envtest into CACHE, or says in one line why not.
download() {
	local cache=$1 minor=${2%.*}.x from name
	shift 2
	local tool=$root/bin/setup-envtest
	say "trying setup-envtest, which is compiled first"
	if ! "$go" -C "$root/hack/tools" build -o "$tool" sigs.k8s.io/controller-runtime/tools/setup-envtest >&2; then
		say "setup-envtest does not build; building the binaries instead"
		return 1
	fi
	if ! timeout "$index_seconds" "$tool" list "${minor#v}" --remote >/dev/null 2>&1; then
		say "setup-envtest cannot reach its download server; building from Go modules instead"
		return 1
	fi
	say "downloading etcd, kube-apiserver and kubectl ${minor} with setup-envtest"
	if ! from=$(timeout "$download_seconds" "$tool" use "${minor#v}" --bin-dir "$cache/envtest" --print path); then
		say "setup-envtest did not finish the download; building from Go modules instead"
		return 1
	fi
	for name; do
		cp "$from/$name" "$cache/.$name.$$" && mv "$cache/.$name.$$" "$cache/$name"
	done
}

# build CACHE VERSION NAME: builds one binary, with a sign of life every 30 seconds.
build() {
	local cache=$1 version=$2 name=$3 package started=$SECONDS next=30 pid
	local major=${version%%.*} minor=${version#*.}
	package=$(package_of "$name")
	minor=${minor%%.*}
	# kube-apiserver and kubectl refuse to start or misreport without the version that a release build stamps in.
	local stamp="-s -w" at
	for at in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		stamp+=" -X $at.gitVersion=$version -X $at.gitMajor=${major#v} -X $at.gitMinor=$minor -X $at.gitTreeState=clean"
	done

	say "building $name ($package); $(expectation_of "$name")"
	CGO_ENABLED=0 "$go" -C "$here" build -trimpath -ldflags "$stamp" -o "$cache/.$name.$$" "$package" >&2 &
	pid=$!
	# A background job does not get Ctrl-C from the terminal.
	# shellcheck disable=SC2064 # the pid of now is meant
	trap "kill $pid 2>/dev/null; rm -f '$cache/.$name.$$'; exit 130" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if ((SECONDS - started >= next)); then
			say "still building $name ($((SECONDS - started)) s)"
			next=$((next + 30))
		fi
	done
	wait "$pid"
	trap - INT TERM
	mv "$cache/.$name.$$" "$cache/$name"
	say "built $name in $((SECONDS - started)) s"
}

# fill CACHE VERSION NAME...: makes the cache hold them all. Run under the lock.
fill() {
	local cache=$1 version=$2 name downloadable=()
	shift 2
	local wanted=("$@") lacking
	mapfile -t lacking < <(missing "$cache" "${wanted[@]}")
	((${#lacking[@]})) || return 0
	say "getting ${lacking[*]} for Kubernetes $version into $cache; this happens only the first time"
	for name in "${lacking[@]}"; do
		[[ $name == kube-controller-manager ]] || downloadable+=("$name")
	done
	if ((${#downloadable[@]})); then
		download "$cache" "$version" "${downloadable[@]}" || true
	fi
	mapfile -t lacking < <(missing "$cache" "${wanted[@]}")
	for name in "${lacking[@]}"; do
		build "$cache" "$version" "$name"
	done
}

main() {
	(($#)) || set -- etcd kube-apiserver kubectl
	local name dir lacking
	for name; do package_of "$name" >/dev/null; done

	for dir in "${KUBEBUILDER_ASSETS:-}" "$root/bin/controlplane"; do
		[[ -d $dir ]] || continue
		lacking=$(missing "$dir" "$@")
		if [[ -z $lacking ]]; then
			cd "$dir" && pwd
			return
		fi
		say "$dir lacks ${lacking//$'\n'/, }; looking elsewhere"
	done

	local version hash cache
	version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$here/go.mod")
	hash=$(sha256sum "$here/go.mod" | cut -c1-12)
	cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/ssm-remediator/controlplane-$version-$("$go" env GOOS)-$("$go" env GOARCH)-$hash
	if [[ -n $(missing "$cache" "$@") ]]; then
		mkdir -p "$cache"
		exec 9>"$cache/.lock"
		if ! flock --nonblock 9; then
			say "another build fills $cache; waiting for it"
			flock 9
		fi
		fill "$cache" "$version" "$@"
		exec 9>&-
	fi
	echo "$cache"
}

main "$@"
