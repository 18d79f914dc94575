#!/usr/bin/env bash
#
# Installs what LPMS is built and tested against: the FFmpeg libraries (5.1 or
# newer) with the libx264 encoder, and the ffmpeg and ffprobe programs.
# Safe to run again: it does nothing when everything is already there.

set -euo pipefail

# The library versions of FFmpeg 5.1, the oldest release LPMS supports.
MIN_FFMPEG=5.1
REQUIRED=(
	"libavcodec >= 59.37"
	"libavutil >= 57.28"
	"libavformat >= 59.27"
	"libavfilter >= 8.44"
	"libswscale >= 6.7"
	"libswresample >= 4.7"
)

DEV_PACKAGES=(
	gcc libc6-dev pkg-config libx264-dev
	libavcodec-dev libavutil-dev libavformat-dev
	libavfilter-dev libswscale-dev libswresample-dev
)
BUILD_PACKAGES=(gcc libc6-dev make nasm pkg-config dpkg-dev zlib1g-dev)

# No command-line encoder: only the library is wanted. No OpenCL: it would be
# loaded at run time, so the result would differ from machine to machine.
X264_OPTIONS=(--enable-static --enable-pic --disable-cli --disable-opencl)

# --disable-autodetect keeps the result independent of what happens to be
# installed; it switches off threads and zlib too, so they are asked for by
# name. Of the devices only lavfi is kept (testsrc2, sine), for the same reason.
FFMPEG_OPTIONS=(
	--enable-gpl --enable-libx264
	--enable-static --disable-shared --enable-pic
	--pkg-config-flags=--static
	--disable-autodetect --enable-pthreads --enable-zlib
	--disable-indevs --disable-outdevs --enable-indev=lavfi
	--disable-ffplay --disable-doc --disable-debug
)

WORK=        # temporary directory, removed at exit
REASON=      # why the last check failed
FOUND=       # the FFmpeg version that the last successful check found

usage() {
	cat <<USAGE
Usage: ./install_ffmpeg.sh [--source [DIR] | --help]

Without arguments, makes sure that FFmpeg $MIN_FFMPEG or newer with libx264 can be
found by pkg-config, installing packages (apt-get or Homebrew) if it cannot.

  --source [DIR]  build static x264 and FFmpeg into DIR (default: ~/compiled)
                  from the distribution's source packages (Debian and Ubuntu)
  --help          print this text

--source takes the newest source packages of the suites that apt is set up for.
If those are too old, add a deb-src entry of a newer release to apt's sources.
USAGE
}

say() { printf '%s\n' "$*"; }

die() {
	printf 'install_ffmpeg.sh: %s\n' "$*" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

make_work_dir() {
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
}

# ---------------------------------------------------------------- checks

# A library's headers, its presence at link and run time, and the encoders
# compiled into it are three different things; a program that is compiled,
# linked and run settles them all.
write_probe() {
	cat >"$WORK/probe.c" <<'PROBE'
#include <stdio.h>
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

int main(void)
{
    unsigned all = avformat_version() | avfilter_version() |
                   swscale_version() | swresample_version();
    if (!all || !avcodec_find_encoder_by_name("libx264"))
        return 1;
    puts(av_version_info());
    return 0;
}
PROBE
}

# check_libraries [--static]: is a fitting FFmpeg there for pkg-config? The
# flag makes pkg-config name the private libraries as well.
check_libraries() {
	local cc=${CC:-cc} flags
	FOUND=
	has pkg-config || { REASON="pkg-config is not installed"; return 1; }
	has "${cc%% *}" || { REASON="there is no C compiler (${cc%% *})"; return 1; }
	if ! flags=$(pkg-config "$@" --cflags --libs "${REQUIRED[@]}" 2>/dev/null); then
		REASON="pkg-config finds no FFmpeg $MIN_FFMPEG or newer"
		return 1
	fi
	write_probe
	# $cc and $flags are lists of words.
	# shellcheck disable=SC2086
	if ! $cc -o "$WORK/probe" "$WORK/probe.c" $flags >"$WORK/probe.log" 2>&1; then
		REASON="a program cannot be linked to the FFmpeg found"
		return 1
	fi
	if ! FOUND=$("$WORK/probe" 2>>"$WORK/probe.log"); then
		REASON="the FFmpeg found has no libx264 encoder, or cannot be loaded"
		return 1
	fi
}

# The programs count as present, too, beside libraries in a folder of their
# own: installing others would mix two versions.
check_programs() {
	local prefix dir
	has ffmpeg && has ffprobe && return
	prefix=$(pkg-config --variable=prefix libavcodec 2>/dev/null) || prefix=
	dir=$prefix/bin
	if [ -n "$prefix" ] && [ -x "$dir/ffmpeg" ] && [ -x "$dir/ffprobe" ]; then
		say "Note: the tests need $dir on the PATH."
		return
	fi
	REASON="the ffmpeg and ffprobe programs are not on the PATH"
	return 1
}

# ---------------------------------------------------------------- packages

is_debian() { [ "$(uname -s)" = Linux ] && has apt-get && has dpkg-query; }

as_root() {
	if is_root; then
		"$@"
	elif has sudo; then
		sudo "$@"
	else
		die "Installing packages needs root: run this as root, or install sudo."
	fi
}

# sudo drops the environment, hence env.
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@"; }

is_installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Only what apt says on stderr is worth showing: its log fills screens.
install_now() {
	apt_get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >"$WORK/apt.log"
}

update_lists() {
	apt_get update -qq || die "apt-get update failed: check the network and apt's sources."
}

apt_install() {
	local package missing=()
	for package in "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "Installing ${missing[*]} ..."
	install_now "${missing[@]}" && return
	# Out-of-date package lists name files that the mirrors no longer have.
	say "That failed; trying once more with new package lists."
	update_lists
	if ! install_now "${missing[@]}"; then
		tail -n 20 "$WORK/apt.log" >&2
		die "apt-get could not install ${missing[*]}: see its messages above."
	fi
}

# The version apt would install, or nothing when it knows none.
apt_candidate() {
	LC_ALL=C apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# Debian versions may begin with an epoch ("7:"), which says nothing here.
is_too_old() { dpkg --compare-versions "${1#*:}" lt "$MIN_FFMPEG"; }

refuse_old_packages() {
	local version
	version=$(apt_candidate libavcodec-dev)
	if [ -z "$version" ]; then
		update_lists
		version=$(apt_candidate libavcodec-dev)
	fi
	[ -n "$version" ] ||
		die "apt knows no package libavcodec-dev: enable the component that has it (main, or universe on Ubuntu)."
	if is_too_old "$version"; then
		die "This distribution has FFmpeg ${version#*:}, older than $MIN_FFMPEG: add a deb-src entry of a newer release to apt's sources and run ./install_ffmpeg.sh --source."
	fi
}

install_with_apt() {
	if check_libraries; then
		apt_install ffmpeg
		return
	fi
	refuse_old_packages
	apt_install "${DEV_PACKAGES[@]}" ffmpeg
}

install_with_brew() {
	has brew || die "Homebrew (brew) is missing: install it, then run this again."
	brew install ffmpeg pkg-config || die "brew could not install ffmpeg and pkg-config: see its message above."
}

install_packages() {
	if check_libraries && check_programs; then
		say "FFmpeg $FOUND with libx264 is already installed."
		return
	fi
	say "Not ready yet: $REASON."
	if is_debian; then
		install_with_apt
	elif [ "$(uname -s)" = Darwin ]; then
		install_with_brew
	else
		die "This can install packages on Debian and Ubuntu (apt-get) and on macOS only: install FFmpeg $MIN_FFMPEG or newer with libx264, its headers, a C compiler and pkg-config yourself, then run this again to check."
	fi
	hash -r
	# Another FFmpeg that PKG_CONFIG_PATH puts first would still be found.
	if ! { check_libraries && check_programs; }; then
		die "The packages are installed, but $REASON: see whether PKG_CONFIG_PATH (${PKG_CONFIG_PATH:-not set}) leads to another FFmpeg."
	fi
	say "FFmpeg $FOUND with libx264 is installed."
}

# ---------------------------------------------------------------- --source

# run_logged WHAT COMMAND...: builds print thousands of lines, of which only
# the last ones of a failure matter. The shell heeds no "set -e" in a condition,
# so the functions run here chain their commands.
run_logged() {
	local what=$1 log=$WORK/build.log
	shift
	say "$what ..."
	if ! "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		die "$what failed: the last lines of its output are above."
	fi
}

# Writes source entries for everything apt is set up for, since most machines
# have only the binary ones. The machine's own configuration stays untouched.
write_private_sources() {
	local etc=/etc/apt parts=$WORK/apt/sources file
	mkdir -p "$parts" "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial"
	for file in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		# sort: an entry may already have its deb-src twin.
		sed -nE '/cdrom:/d; s/^[[:space:]]*deb(-src)?[[:space:]]+/deb-src /p' "$file"
	done | sort -u >"$parts/derived.list"
	for file in "$etc"/sources.list.d/*.sources; do
		[ -r "$file" ] || continue
		sed -E 's/^Types:.*/Types: deb-src/I' "$file" >"$parts/${file##*/}"
	done
}

# apt as it is set up here (proxies, keys), but with lists and caches of ours.
private_apt() {
	apt-get -o Dir::Etc::sourcelist=/dev/null \
		-o Dir::Etc::sourceparts="$WORK/apt/sources" \
		-o Dir::State::lists="$WORK/apt/lists" \
		-o Dir::Cache="$WORK/apt/cache" "$@"
}

# Run by root, apt downloads as the user _apt, who must reach the folders.
open_to_apt() {
	chmod 755 "$WORK"
	if is_root && id _apt >/dev/null 2>&1; then
		chown _apt "$@"
	fi
}

fetch_source_lists() {
	say "Fetching the lists of source packages ..."
	write_private_sources
	mkdir "$WORK/download"
	open_to_apt "$WORK/apt/lists/partial" "$WORK/download"
	# A foreign repository without sources makes this fail, and may: whether
	# the two packages were found is checked next.
	private_apt update -qq || say "Some lists could not be fetched; going on with the others."
}

# "NAME_VERSION.dsc CHECKSUM" of a source package's newest version.
describe_source() {
	local line
	line=$(private_apt source --print-uris --only-source -qq "$1" 2>/dev/null |
		awk '$2 ~ /\.dsc$/ { print $2, $4 }') || line=
	[ -n "$line" ] ||
		die "apt finds no source package $1: check the network, and that apt's sources have an entry for the distribution itself."
	say "$line"
}

# "ffmpeg_5.1.6-0+deb12u1.dsc ..." -> "5.1.6-0+deb12u1"
source_version() {
	local name=${1%%.dsc*}
	say "${name#*_}"
}

# The checksums that a .dsc lists, in the form that sha256sum reads.
sha256_of_files() {
	awk '/^[^ ]/ { on = ($1 == "Checksums-Sha256:") }
		on && NF == 3 { print $1 "  " $3 }' "$1"
}

# unpack_source NAME: downloads a source package into $WORK/NAME.
#
# apt checks the archive's signature on the lists, and the .dsc and the files
# it names against the lists; dpkg-source -x checks the files against the .dsc
# again. The SHA256 check here is explicit, so that it cannot be lost to a
# local setting that turns either of them off.
unpack_source() (
	cd "$WORK/download" &&
		private_apt source --download-only --only-source -qq "$1" &&
		sha256_of_files "$1"_*.dsc >"$1.sha256" &&
		[ -s "$1.sha256" ] &&
		sha256sum --check --strict "$1.sha256" &&
		dpkg-source -x "$1"_*.dsc "$WORK/$1"
)

build_x264() (
	cd "$WORK/x264" &&
		./configure --prefix="$1" "${X264_OPTIONS[@]}" &&
		make -j"$(nproc)" &&
		make install
)

build_ffmpeg() (
	cd "$WORK/ffmpeg" || return
	./configure --prefix="$1" "${FFMPEG_OPTIONS[@]}" || {
		tail -n 20 ffbuild/config.log
		return 1
	}
	make -j"$(nproc)" && make install
)

# check_build DIR: are DIR's libraries and programs usable?
check_build() {
	local ffmpeg=$1/bin/ffmpeg
	if [ "$(pkg-config --variable=prefix libavcodec 2>/dev/null)" != "$1" ]; then
		REASON="pkg-config does not find the libraries"
		return 1
	fi
	check_libraries --static || return
	# Half a second of what the tests make their input with.
	if ! "$ffmpeg" -nostdin -v error -f lavfi -i testsrc2=size=320x180:duration=0.5 \
		-f lavfi -i sine=duration=0.5 -c:v libx264 -c:a aac -f flv pipe:1 >/dev/null; then
		REASON="$ffmpeg cannot encode"
		return 1
	fi
	if ! "$1/bin/ffprobe" -v error -version >/dev/null; then
		REASON="$1/bin/ffprobe does not run"
		return 1
	fi
}

# prepare_dir DIR: creates it and prints its absolute path. It changes the
# folder, so it is for a subshell.
prepare_dir() {
	local dir=$1
	case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
	# The .pc files and the build scripts cannot quote white space.
	case $dir in
	*[[:space:]]*) die "The folder's path must not contain white space: give another one than $dir." ;;
	esac
	mkdir -p "$dir" 2>/dev/null || die "$dir cannot be created: give another folder."
	if ! { cd "$dir" 2>/dev/null && [ -w . ]; }; then
		die "$dir cannot be written to: give another folder."
	fi
	say "$PWD"
}

# build_all DIR STAMP: the stamp is written last, so that a build which broke
# off is never taken for a finished one.
build_all() {
	rm -f "$1/.lpms-ffmpeg"
	run_logged "Downloading and unpacking x264" unpack_source x264
	run_logged "Building x264" build_x264 "$1"
	run_logged "Downloading and unpacking FFmpeg" unpack_source ffmpeg
	run_logged "Building FFmpeg (this takes some minutes)" build_ffmpeg "$1"
	check_build "$1" || die "The build in $1 is unusable: $REASON."
	printf '%s\n' "$2" >"$1/.lpms-ffmpeg"
}

print_exports() {
	say "To use it:"
	say "export PKG_CONFIG_PATH=\"$1/lib/pkgconfig:\${PKG_CONFIG_PATH:-}\""
	say "export PATH=\"$1/bin:\$PATH\""
}

install_from_source() {
	local dir x264 ffmpeg stamp
	is_debian || die "--source needs apt-get's source packages (Debian or Ubuntu): run this without it, or build FFmpeg $MIN_FFMPEG or newer with libx264 yourself."
	dir=$(prepare_dir "$1")
	apt_install "${BUILD_PACKAGES[@]}"
	fetch_source_lists
	x264=$(describe_source x264)
	ffmpeg=$(describe_source ffmpeg)
	if is_too_old "$(source_version "$ffmpeg")"; then
		die "apt's sources have only FFmpeg $(source_version "$ffmpeg"), older than $MIN_FFMPEG: add a deb-src entry of a newer release and run this again."
	fi
	stamp=$(printf '%s\n' "$x264" "${X264_OPTIONS[*]}" "$ffmpeg" "${FFMPEG_OPTIONS[*]}")
	# For the FFmpeg build, which looks for x264, as well as for the checks.
	export PKG_CONFIG_PATH=$dir/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
	if [ "$(cat "$dir/.lpms-ffmpeg" 2>/dev/null)" = "$stamp" ] && check_build "$dir"; then
		say "FFmpeg $FOUND with libx264 is already built in $dir."
	else
		build_all "$dir" "$stamp"
		say "FFmpeg $FOUND with libx264 is built in $dir."
	fi
	print_exports "$dir"
}

# ---------------------------------------------------------------- main

main() {
	case ${1:-} in
	"")
		[ $# -eq 0 ] || die "An empty argument means nothing here: see --help."
		make_work_dir
		install_packages
		;;
	--source)
		[ $# -le 2 ] || die "--source takes one folder at most: see --help."
		case ${2-default} in
		"" | -*) die "'${2-}' is no folder for --source: see --help." ;;
		esac
		make_work_dir
		install_from_source "${2:-${HOME:?is not set: give --source a folder}/compiled}"
		;;
	-h | --help) usage ;;
	*) die "Unknown option or argument '$1': see --help." ;;
	esac
}

main "$@"
