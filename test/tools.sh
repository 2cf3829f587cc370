#!/usr/bin/env bash
# Installs the Debian packages that the tests use, where they are missing and this user may install them.
# Without them the tests that need them say that they are skipped; with CI=true they fail.
set -euo pipefail
want=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || want+=(postgresql)
command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || want+=(chromium-headless-shell)
command -v node >/dev/null && command -v npm >/dev/null || want+=(nodejs npm)
[ ${#want[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "skipped: tests that need ${want[*]} (install them to run these)"
  exit 0
fi
echo "installing ${want[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# No cluster is wanted: the tests make their own.
mkdir -p /etc/postgresql-common
grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf || echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
apt-get install -y -qq --no-install-recommends "${want[@]}" >/dev/null
