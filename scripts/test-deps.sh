#!/usr/bin/env bash
# Installs the programs that the tests run: the ffmpeg executables as publisher and
# reader, rtmpdump and nginx-rtmp as RTMP peers, a NATS server, ip for networks of its own,
# a C compiler for the race detector, and Chromium, node, playwright-core and hls.js for
# playback in a browser, and hls-parser as a second reader of playlists. It does nothing
# when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

playwright=1.65.1
hlsjs=1.7.4
hlsparser=0.16.1

# browser_modules installs the npm packages where test/e2e looks for them.
browser_modules() {
	local dir=.cache/browser
	if grep -qs "\"version\": \"$playwright\"" "$dir/node_modules/playwright-core/package.json" &&
		grep -qs "\"version\": \"$hlsjs\"" "$dir/node_modules/hls.js/package.json" &&
		grep -qs "\"version\": \"$hlsparser\"" "$dir/node_modules/hls-parser/package.json"; then
		return
	fi
	mkdir -p "$dir"
	npm install --prefix "$dir" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
		"playwright-core@$playwright" "hls.js@$hlsjs" "hls-parser@$hlsparser"
}

missing=()
need() { # program package
	command -v "$1" >/dev/null || PATH=$PATH:/usr/sbin command -v "$1" >/dev/null || missing+=("$2")
}
need ffmpeg ffmpeg
need ffprobe ffmpeg
need rtmpdump rtmpdump
need nginx nginx
need nats-server nats-server
need ip iproute2
need gcc gcc
need chromium chromium
need node nodejs
need npm npm
compgen -G '/usr/lib/nginx/modules/ngx_rtmp_module.so' >/dev/null || missing+=(libnginx-mod-rtmp)

if ((${#missing[@]} == 0)); then
	browser_modules
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "test-deps: install these first: ${missing[*]}" >&2
	exit 1
fi
sudo=""
if ((EUID != 0)); then
	sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# nginx comes with a service; the tests start their own, so it need not run.
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
browser_modules
