package ffmpeg

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recording is a file taken apart.
type recording struct {
	tracks []*params
	units  []unit // by DTS
}

func takeApart(t testing.TB, data []byte) recording {
	t.Helper()
	d, err := openDemuxer(Input{Data: data})
	require.NoError(t, err)
	t.Cleanup(d.close)
	var r recording
	for {
		u, err := d.next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		r.units = append(r.units, u)
	}
	for _, track := range d.tracks {
		r.tracks = append(r.tracks, track.params)
	}
	r.sort()
	return r
}

func (r recording) sort() {
	slices.SortStableFunc(r.units, func(a, b unit) int { return int(min(max(a.dts-b.dts, -1), 1)) })
}

// of gives the units of one track.
func (r recording) of(track int) (units []unit) {
	for _, u := range r.units {
		if u.track == track {
			units = append(units, u)
		}
	}
	return units
}

// only keeps one track, as track 0.
func (r recording) only(track int) recording {
	one := recording{tracks: r.tracks[track : track+1]}
	for _, u := range r.of(track) {
		u.track = 0
		one.units = append(one.units, u)
	}
	return one
}

func (r recording) shift(by clock) recording {
	moved := recording{tracks: r.tracks}
	for _, u := range r.units {
		u.dts += by
		u.pts += by
		moved.units = append(moved.units, u)
	}
	return moved
}

// start is the first time of a track.
func (r recording) start(track int) clock {
	first := clock(math.MaxInt64)
	for _, u := range r.of(track) {
		first = min(first, u.pts)
	}
	return first
}

// write writes everything, with a take after each so many units (0: only at the end).
func (r recording) write(opts containerOptions, takes int) ([]byte, error) {
	c, err := newContainer(r.tracks, opts)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var b []byte
	for i, u := range r.units {
		if err := c.write(u); err != nil {
			return b, err
		}
		if takes > 0 && i%takes == 0 {
			b = append(b, c.take()...)
		}
	}
	if err := c.finish(); err != nil {
		return b, err
	}
	return append(b, c.take()...), nil
}

func (r recording) mustWrite(t testing.TB, opts containerOptions) []byte {
	t.Helper()
	b, err := r.write(opts, 0)
	require.NoError(t, err)
	require.NotEmpty(t, b)
	return b
}

// readBack is what ffprobe says of a file.
type readBack struct {
	Streams []readStream `json:"streams"`
	Packets []readPacket `json:"packets"`
	Format  struct {
		Tags map[string]string `json:"tags"`
	} `json:"format"`
	Programs []struct {
		Tags map[string]string `json:"tags"`
	} `json:"programs"`
}

type readStream struct {
	CodecName string `json:"codec_name"`
	CodecTag  string `json:"codec_tag_string"`
	TimeBase  string `json:"time_base"`
	Frames    string `json:"nb_read_frames"`
}

type readPacket struct {
	Stream   int    `json:"stream_index"`
	PTS      string `json:"pts_time"`
	DTS      string `json:"dts_time"`
	Duration string `json:"duration_time"`
	Flags    string `json:"flags"`
}

// tempFile is a file that programs can seek in.
func tempFile(t testing.TB, data []byte) string {
	path := filepath.Join(t.TempDir(), "media")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func readFile(t testing.TB, data []byte) readBack {
	t.Helper()
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "json", "-count_frames", "-show_streams", "-show_packets", "-show_format", "-show_programs", tempFile(t, data))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Empty(t, stderr.String())
	var r readBack
	require.NoError(t, json.Unmarshal(out, &r))
	return r
}

func (r readBack) of(stream int) (packets []readPacket) {
	for _, p := range r.Packets {
		if p.Stream == stream {
			packets = append(packets, p)
		}
	}
	return packets
}

func seconds(t testing.TB, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return f
}

func (c clock) seconds() float64 { return float64(c) / float64(clockRate) }

// requireSame compares what ffprobe read with what was written: every unit at its time.
func requireSame(t testing.TB, r recording, got readBack, tolerance float64) {
	t.Helper()
	require.Len(t, got.Streams, len(r.tracks))
	for i, p := range r.tracks {
		units, packets := r.of(i), got.of(i)
		require.Equal(t, p.codecName(), got.Streams[i].CodecName)
		require.Len(t, packets, len(units), "packets of track %d", i)
		require.Equal(t, strconv.Itoa(len(units)), got.Streams[i].Frames, "frames of track %d", i)
		limit := tolerance
		if p.codecInfo().width == 0 {
			limit = max(limit, audioSlack.seconds())
		}
		for j, u := range units {
			require.InDelta(t, u.pts.seconds(), seconds(t, packets[j].PTS), limit+1e-6, "PTS %d of track %d", j, i)
			if p.codecInfo().width > 0 {
				require.Equal(t, u.key, strings.HasPrefix(packets[j].Flags, "K"), "key %d of track %d", j, i)
			}
		}
	}
}

// pictures is a hash of all decoded pictures.
func pictures(t testing.TB, data []byte) string {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", tempFile(t, data), "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Empty(t, stderr.String())
	require.NotEmpty(t, out)
	return hash(out)
}

const (
	x265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:keyint=30:bframes=2 "
	vp9  = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p -g 30 "
	av1  = "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p -g 30 "
)

var containerSources = map[string]string{
	"avc+aac.ts":      x264 + aac,
	"avc+aac.mp4":     x264 + aac,
	"avc+aac.flv":     x264 + aac,
	"avc+mp3.ts":      x264 + "-c:a libmp3lame ",
	"avc+ac3.ts":      x264 + "-c:a ac3 ",
	"avc+opus.ts":     x264 + "-c:a libopus -ar 48000 ",
	"avc+eac3.mp4":    x264 + "-c:a eac3 ",
	"avc+opus.mp4":    x264 + "-c:a libopus -ar 48000 ",
	"hevc+aac.ts":     x265 + aac,
	"hevc+aac.mp4":    x265 + aac,
	"vp9+opus.mp4":    vp9 + "-c:a libopus -ar 48000 ",
	"av1+aac.mp4":     av1 + aac,
	"fragmented.mp4":  x264 + aac + "-movflags frag_keyframe+empty_moov ",
	"avc+aac51.ts":    x264 + "-c:a aac -b:a 300k -ac 6 ",
	"avc+aac 22k.mp4": x264 + "-c:a aac -b:a 24k -ac 1 -ar 22050 ",
}

func source(t testing.TB, name string) []byte {
	return generate(t, strings.ReplaceAll(name, " ", ""), testVideo+testAudio+"-t 3 "+containerSources[name])
}

// Every source goes into every container that takes it, and comes out as it was.
func TestContainerCopies(t *testing.T) {
	for name := range containerSources {
		t.Run(name, func(t *testing.T) {
			data := source(t, name)
			r := takeApart(t, data)
			want := pictures(t, data)
			for _, format := range []Format{FormatMPEGTS, FormatMP4} {
				opts := containerOptions{format: format}
				if format == FormatMPEGTS && (strings.HasPrefix(name, "vp9") || strings.HasPrefix(name, "av1")) {
					_, err := r.write(opts, 0)
					require.ErrorIs(t, err, ErrFormat)
					require.ErrorContains(t, err, name[:3]+" in MPEG-TS")
					continue
				}
				out := r.mustWrite(t, opts)
				tolerance := 0.0
				if format == FormatMPEGTS {
					tolerance = 1.0 / 90000
				}
				requireSame(t, r, readFile(t, out), tolerance)
				require.Equal(t, want, pictures(t, out))
				again, err := r.write(opts, 7)
				require.NoError(t, err)
				require.True(t, bytes.Equal(out, again), "with takes in between")
				if format == FormatMPEGTS {
					checkTS(t, out)
				}
			}
		})
	}
}

func hash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// checkTS checks what must hold for a transport stream of one segment.
func checkTS(t testing.TB, b []byte) {
	t.Helper()
	ps := readTS(t, b)
	require.Greater(t, len(ps), 2)
	require.Equal(t, 0, ps[0].pid, "the PAT is first")
	require.Equal(t, 0x1000, ps[1].pid, "then the PMT")
	require.True(t, ps[2].start)
	last := map[int]int{}
	for _, p := range ps {
		if cc, seen := last[p.pid]; seen {
			require.Equal(t, (cc+1)&15, p.cc, "continuity counter of PID %d", p.pid)
		}
		last[p.pid] = p.cc
		require.NotEqual(t, 0x11, p.pid, "no SDT")
	}
	for _, u := range readPES(t, ps) {
		if u.pcr >= 0 {
			require.Equal(t, u.dts, u.pcr, "the PCR is the DTS")
		}
	}
}
