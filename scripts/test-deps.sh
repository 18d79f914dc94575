#!/usr/bin/env bash
# Installs the programs that the tests run: the ffmpeg executables as publisher and
# reader, rtmpdump and nginx-rtmp as RTMP peers, and a C compiler for the race
# detector. It does nothing when they are there.
set -euo pipefail

missing=()
need() { # program package
	command -v "$1" >/dev/null || PATH=$PATH:/usr/sbin command -v "$1" >/dev/null || missing+=("$2")
}
need ffmpeg ffmpeg
need ffprobe ffmpeg
need rtmpdump rtmpdump
need nginx nginx
need gcc gcc
compgen -G '/usr/lib/nginx/modules/ngx_rtmp_module.so' >/dev/null || missing+=(libnginx-mod-rtmp)

if ((${#missing[@]} == 0)); then
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
