#!/usr/bin/env bash
# Make the base image switchpoint-base:bookworm without a registry: Debian bookworm, its Python 3.11 and pip.
#
#     sudo docker/debootstrap-base.sh [NAME]
#     make images DEVICE=cpu BASE_IMAGE=switchpoint-base:bookworm
#
# Needs root, debootstrap and a Docker engine. The packages come from the mirror that this machine's apt uses.
set -euo pipefail

name="${1:-switchpoint-base:bookworm}"
suite=bookworm
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT

# Works for one-line and deb822 sources alike; the first one that carries the suite wins.
# shellcheck disable=SC2016  # $(REPO_URI) is a placeholder of apt-get
mirror="$(apt-get indextargets --format '$(REPO_URI)' "Release: $suite" "Component: main" 2>/dev/null | head -n 1 || true)"

debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip "$suite" "$root" \
    "${mirror:-http://deb.debian.org/debian}"

# PEP 668: in an image there is no other user of this Python to protect.
rm -f "$root"/usr/lib/python3.*/EXTERNALLY-MANAGED
# What a container never reads; the licences in /usr/share/doc/*/copyright stay.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* \
    "$root"/usr/share/{man,info,locale,lintian}
find "$root/usr/share/doc" -type f ! -name copyright -delete
# The mirror was this machine's; the image gets Debian's own.
printf 'deb http://deb.debian.org/debian %s main\n' "$suite" >"$root/etc/apt/sources.list"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"

tar --create --directory "$root" --numeric-owner --one-file-system . |
    docker import --change 'CMD ["python3"]' --change 'ENV LANG=C.UTF-8' - "$name" >/dev/null
docker image inspect --format "$name {{.Size}} bytes" "$name"
