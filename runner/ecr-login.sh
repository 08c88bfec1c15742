#!/bin/bash
# Logs buildah in to the repository of the runner stack, BAKERY_RUNNER_REPOSITORY: the job assumes the push role with
# its ID token, and gets a password in that role. This job's image has no AWS tool, but curl can sign requests to AWS.
set -euo pipefail

registry=${BAKERY_RUNNER_REPOSITORY%%/*} # ACCOUNT.dkr.ecr.REGION.DOMAIN
place=${registry#*.dkr.ecr.}
region=${place%%.*}

fail() {
  echo "error: $1" >&2
  exit 1
}

# ask SERVICE HOST ARGUMENT...: the answer of an API. Secrets reach curl by its standard input or another pipe.
ask() {
  local service=$1 host=$2 answer
  shift 2
  answer=$(curl --silent --show-error --fail-with-body --max-time 15 --retry 3 --retry-connrefused \
    "$@" "${AWS_ENDPOINT_URL:-https://$host}/") || fail "$service at $host refuses: $answer"
  printf '%s\n' "$answer"
}

element() { # element NAME: its text, out of the XML on standard input
  sed -nE "s|.*<$1>([^<]*)</$1>.*|\1|p"
}

if [ "$place" = "$registry" ]; then
  fail "BAKERY_RUNNER_REPOSITORY is not ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME, the runner stack's registry_url"
fi
if [ -z "${BAKERY_PUSH_ROLE_ARN:-}" ]; then
  fail "BAKERY_PUSH_ROLE_ARN is not set, and only that role may push to $BAKERY_RUNNER_REPOSITORY"
fi

session=$(printf '%s' "$AWS_ID_TOKEN" | ask STS "sts.$place" --data-urlencode WebIdentityToken@- \
  --data Action=AssumeRoleWithWebIdentity --data Version=2011-06-15 \
  --data-urlencode "RoleArn=$BAKERY_PUSH_ROLE_ARN" --data "RoleSessionName=gitlab-job-$CI_JOB_ID")
key() { # key NAME: a part of the role's credentials
  element "$1" <<<"$session"
}
login=$(ask ECR "api.ecr.$place" --aws-sigv4 "aws:amz:$region:ecr" \
  --config <(printf 'user = "%s:%s"\n' "$(key AccessKeyId)" "$(key SecretAccessKey)") \
  --header @<(printf 'X-Amz-Security-Token: %s\n' "$(key SessionToken)") \
  --header 'Content-Type: application/x-amz-json-1.1' \
  --header 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken' --data '{}')
# The Base64 of AWS:PASSWORD
sed -nE 's/.*"authorizationToken": ?"([^"]*)".*/\1/p' <<<"$login" | base64 --decode | cut --delimiter=: --fields=2- |
  buildah login --username AWS --password-stdin "$registry"
