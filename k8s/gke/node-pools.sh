#!/usr/bin/env bash
# The GPU node pools that the profiles gke-l4 and gke-a100-spot select. They shrink to no node when nothing runs.
#
#     PROJECT=… CLUSTER=… LOCATION=… [NODE_LOCATIONS=…] k8s/gke/node-pools.sh create|delete [--dry-run]
#
# Each command is printed before it runs; --dry-run prints only. `create` may be repeated: a pool that exists is left
# alone. Check first that the zones have the GPUs and that the project's quota allows them:
#     gcloud compute accelerator-types list --filter="name=nvidia-l4 OR name=nvidia-tesla-a100" --project=…
set -euo pipefail

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

action="${1:-}"
dry_run="${2:-}"
[[ "$action" == create || "$action" == delete ]] || usage
[[ -z "$dry_run" || "$dry_run" == --dry-run ]] || usage
: "${PROJECT:?is the Google Cloud project}" "${CLUSTER:?is the name of the GKE cluster}" \
    "${LOCATION:?is the zone or region of the cluster}"

where=(--project="$PROJECT" --cluster="$CLUSTER" --location="$LOCATION")

run() {
    printf '+'
    printf ' %q' "$@"
    printf '\n'
    [[ -n "$dry_run" ]] || "$@"
}

# An empty list when dry: then both actions print all they would do.
pools=""
[[ -n "$dry_run" ]] || pools="$(gcloud container node-pools list "${where[@]}" --format='value(name)')"

exists() {
    grep --quiet --line-regexp --fixed-strings "$1" <<<"$pools"
}

create() { # name, then what differs
    local name="$1"
    shift
    if exists "$name"; then
        echo "node pool $name exists"
        return
    fi
    # GKE itself labels the nodes cloud.google.com/gke-accelerator=TYPE and taints them
    # nvidia.com/gpu=present:NoSchedule, and takes the last idle node away after about ten minutes.
    run gcloud container node-pools create "$name" "${where[@]}" \
        ${NODE_LOCATIONS:+--node-locations="$NODE_LOCATIONS"} \
        --num-nodes=0 --enable-autoscaling --total-min-nodes=0 --total-max-nodes=3 --location-policy=ANY \
        --workload-metadata=GKE_METADATA --enable-autoupgrade --enable-autorepair "$@"
}

delete() {
    if [[ -n "$dry_run" ]] || exists "$1"; then
        run gcloud container node-pools delete "$1" "${where[@]}" --quiet
    else
        echo "node pool $1 does not exist"
    fi
}

case "$action" in
create)
    create switchpoint-l4 --machine-type=g2-standard-8 \
        --accelerator=type=nvidia-l4,count=1,gpu-driver-version=default \
        --disk-type=pd-balanced --disk-size=200
    # --spot labels the nodes cloud.google.com/gke-spot=true but does not taint them.
    create switchpoint-a100-spot --machine-type=a2-highgpu-1g --spot \
        --accelerator=type=nvidia-tesla-a100,count=1,gpu-driver-version=default \
        --node-taints=cloud.google.com/gke-spot=true:NoSchedule \
        --disk-type=pd-balanced --disk-size=200
    ;;
delete)
    delete switchpoint-a100-spot
    delete switchpoint-l4
    ;;
esac
