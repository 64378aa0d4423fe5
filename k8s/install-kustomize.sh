#!/usr/bin/env bash
# Put kustomize into build/bin/, built by Go from the module proxy. The kubectl that distributions ship embeds an older
# one. v5.8.2 builds with Go 1.26.
set -euo pipefail

version=v5.8.2
bin="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/bin"

if [[ ! -x "$bin/kustomize" || "$("$bin/kustomize" version)" != "$version" ]]; then
    mkdir -p "$bin"
    GOBIN="$bin" go install "sigs.k8s.io/kustomize/kustomize/v5@$version"
fi
"$bin/kustomize" version
