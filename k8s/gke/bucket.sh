#!/usr/bin/env bash
# The artifact store, and who may use it through Workload Identity: no key, no Google service account.
#
#     PROJECT=… BUCKET=… LOCATION=… [NAMESPACE=kubeflow] [SERVICE_ACCOUNT=switchpoint-runner] \
#         k8s/gke/bucket.sh create|delete [--dry-run]
#
# Each command is printed before it runs; --dry-run prints only. `delete` takes the rights back and leaves the bucket
# and the artifacts in it; how to delete those is printed. The cluster needs --workload-pool=PROJECT.svc.id.goog.
set -euo pipefail

usage() {
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

action="${1:-}"
dry_run="${2:-}"
[[ "$action" == create || "$action" == delete ]] || usage
[[ -z "$dry_run" || "$dry_run" == --dry-run ]] || usage
: "${PROJECT:?is the Google Cloud project}" "${BUCKET:?is the name of the bucket, without gs://}" \
    "${LOCATION:?is the region of the cluster}"
namespace="${NAMESPACE:-kubeflow}"
runner="${SERVICE_ACCOUNT:-switchpoint-runner}"

run() {
    printf '+'
    printf ' %q' "$@"
    printf '\n'
    [[ -n "$dry_run" ]] || "$@"
}

if [[ -n "$dry_run" ]]; then
    number=PROJECT_NUMBER
else
    number="$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')"
fi
pool="principal://iam.googleapis.com/projects/$number/locations/global/workloadIdentityPools/$PROJECT.svc.id.goog"

rights() { # add or remove
    # A run writes its artifacts and checkpoints, and replaces `latest` pointers (objectUser: no rights over the bucket's
    # policy). The API server and the UI show what it wrote.
    run gcloud storage buckets "$1-iam-policy-binding" "gs://$BUCKET" --project="$PROJECT" \
        --member="$pool/subject/ns/$namespace/sa/$runner" --role=roles/storage.objectUser
    for account in ml-pipeline ml-pipeline-ui; do
        run gcloud storage buckets "$1-iam-policy-binding" "gs://$BUCKET" --project="$PROJECT" \
            --member="$pool/subject/ns/kubeflow/sa/$account" --role=roles/storage.objectViewer
    done
}

case "$action" in
create)
    if [[ -n "$dry_run" ]] || ! gcloud storage buckets describe "gs://$BUCKET" --project="$PROJECT" >/dev/null 2>&1; then
        run gcloud storage buckets create "gs://$BUCKET" --project="$PROJECT" --location="$LOCATION" \
            --uniform-bucket-level-access --public-access-prevention
    fi
    rights add
    ;;
delete)
    rights remove
    echo "gs://$BUCKET and what is in it are still there. To delete them: gcloud storage rm --recursive gs://$BUCKET"
    ;;
esac
