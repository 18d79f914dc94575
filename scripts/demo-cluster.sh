#!/usr/bin/env bash
# Shows transcoding on several machines on this one: an orchestrator, two transcoders and a
# broadcaster with a test picture, all on 127.0.0.1, with the published ports where they are free. It
# says what to look at, and stops everything on Ctrl-C, or when one of them ends that is no
# transcoder. Logs are in a temporary folder, which stays.
#
#   make demo-cluster ARGS="-transcodingOptions P144p30fps16x9"   more flags for the broadcaster
set -euo pipefail
cd "$(dirname "$0")/.."
lpms=${LPMS:-bin/lpms}
name=demo
patience=60 # seconds

logs=$(mktemp -d "${TMPDIR:-/tmp}/lpms-demo-XXXXXX")
secret=$logs/orch.secret
(umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$secret")

declare -A pids=()

# stop ends what was started here, those who connect first, and waits for it.
stop() {
	trap '' INT TERM EXIT
	((${#pids[@]} == 0)) || echo "Stopping."
	local who
	for who in broadcaster transcoder-1 transcoder-2 orchestrator; do
		if [[ -n ${pids[$who]:-} ]]; then
			kill -TERM "${pids[$who]}" || true
			wait "${pids[$who]}" || true
		fi
	done 2>/dev/null
	echo "The logs are in $logs"
}
trap stop EXIT
trap 'exit 0' INT TERM

# port says the usual port when nobody listens there, and 0 for a free one otherwise.
port() {
	if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo 0; else echo "$1"; fi
}

# start runs lpms with a name for its log. Job control is on for a moment, so that it has a process group
# of its own: Ctrl-C is for this script, which stops the others in order.
start() {
	local who=$1
	shift
	: >"$logs/$who.log" # so that it is there when it is read
	set -m
	"$lpms" "$@" >>"$logs/$who.log" 2>&1 </dev/null &
	pids[$who]=$!
	set +m
}

fail() {
	echo "demo-cluster: $1" >&2
	if [[ -n ${2:-} ]]; then
		tail -n 20 "$logs/$2.log" >&2
	fi
	exit 1
}

alive() { kill -0 "${pids[$1]}" 2>/dev/null; }

# said waits until a program has said where something is: "Open  http://...".
said() { # who what
	local line
	for ((i = 0; i < patience * 10; i++)); do
		line=$(sed -n "s/^$2 *//p" "$logs/$1.log" | tail -n 1)
		if [[ -n $line ]]; then
			echo "$line"
			return
		fi
		alive "$1" || return 1
		sleep 0.1
	done
	return 1
}

[[ -x $lpms ]] || fail "there is no $lpms: make build"

start orchestrator -orchestrator -serviceAddr "127.0.0.1:$(port 8936)" -cliAddr "127.0.0.1:$(port 7936)" -orchSecret "$secret"
service=$(said orchestrator "Workers at") || fail "the orchestrator does not start" orchestrator

start transcoder-1 -transcoder -orchAddr "$service" -cliAddr "127.0.0.1:$(port 7937)" -orchSecret "$secret"
start transcoder-2 -transcoder -orchAddr "$service" -cliAddr "127.0.0.1:$(port 7938)" -orchSecret "$secret"
start broadcaster -broadcaster -testSignal "$name" -currentManifest -orchAddr "$service" -orchSecret "$secret" \
	-rtmpAddr "127.0.0.1:$(port 1935)" -httpAddr "127.0.0.1:$(port 8935)" -cliAddr "127.0.0.1:$(port 7935)" "$@"
page=$(said broadcaster Open) || fail "the broadcaster does not start" broadcaster
page=${page%/}
status=$(said broadcaster Status) || fail "the broadcaster has no admin interface" broadcaster
admin=${status#http://}
admin=${admin%/status}

# get is an HTTP request without other programs.
get() { # host:port path
	local line
	exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || return 1
	printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "$1" >&3
	while IFS= read -r line <&3; do printf '%s\n' "$line"; done
	exec 3>&-
}

echo "Waiting for the first rendition ..."
began=$SECONDS
until rendition=$(get "${page#http://}" "/stream/$name.m3u8" 2>/dev/null | tr -d '\r' | grep -m1 "^$name/P[^/]*\.m3u8$") &&
	get "${page#http://}" "/stream/$rendition" 2>/dev/null | grep -q '^#EXTINF'; do
	for who in "${!pids[@]}"; do
		alive "$who" || fail "the $who has ended" "$who"
	done
	((SECONDS - began < patience)) || fail "no rendition after $patience s" broadcaster
	sleep 0.2
done

cat <<EOF

$rendition is there, made by a transcoder.

  watch            $page/watch/$name
  master playlist  $page/stream/$name.m3u8
  workers          $lpms workers $admin
  status           curl $status

  kill -KILL ${pids[transcoder-1]}   a transcoder dies: the other one makes its segments, without a gap
  kill -TERM ${pids[transcoder-2]}   a transcoder leaves: it finishes what it has

  logs             $logs
  Ctrl-C stops everything.

EOF

# Transcoders may go, which is what this is about.
while alive orchestrator && alive broadcaster; do
	for who in transcoder-1 transcoder-2; do
		if [[ -n ${pids[$who]:-} ]] && ! alive "$who"; then
			unset "pids[$who]"
			echo "The $who has gone."
		fi
	done
	sleep 0.5
done 2>/dev/null
for who in orchestrator broadcaster; do
	alive "$who" || fail "the $who has ended" "$who"
done
