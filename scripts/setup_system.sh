#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Install the system tools that judging and the tests use, where they are missing.
# With root or passwordless sudo they come from apt; else the exact line to run is printed.
# Nothing here is needed to install or import the package; `codetemper doctor` says what each costs.
set -euo pipefail

missing=()
command -v git >/dev/null || missing+=(git)
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v g++ >/dev/null || missing+=(g++)
"${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
browser=()
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null &&
  ! command -v google-chrome >/dev/null; then
  browser=(chromium)
fi
if [ $((${#missing[@]} + ${#browser[@]})) -eq 0 ]; then exit 0; fi

if [ "$(id -u)" -eq 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  as_root=()
fi

if [ ${#as_root[@]} -eq 0 ] || ! command -v apt-get >/dev/null; then
  echo "Some system tools are missing. Run this, then 'make setup' again to be sure:"
  echo "  sudo apt-get update && sudo apt-get install -y ${missing[*]} ${browser[*]}"
  exit 0
fi

install() {
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null
}

echo "installing ${missing[*]} ${browser[*]} with apt"
"${as_root[@]}" apt-get update -qq || echo "apt-get update failed; trying the lists at hand"
if [ ${#missing[@]} -gt 0 ]; then install "${missing[@]}"; fi
if [ ${#browser[@]} -gt 0 ]; then
  # Only the tests that look at reports need a browser, so its absence stops nothing.
  install "${browser[@]}" || echo "no Chromium from apt here; the report tests need one"
fi
