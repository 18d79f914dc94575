package ffmpeg

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
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
	"sync"
	"testing"
	"time"

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
	var ends []clock
	for {
		u, err := d.next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		// Only the first frame in a PES packet has a time.
		for len(ends) <= u.track {
			ends = append(ends, 0)
		}
		if u.dts == noTime {
			u.dts = ends[u.track]
			u.pts = u.dts
		}
		if u.duration == 0 && d.tracks[u.track].audio {
			u.duration = frameDuration(d.tracks[u.track].params.codecName(), u.data)
		}
		ends[u.track] = u.dts + u.duration
		r.units = append(r.units, u)
	}
	for _, track := range d.tracks {
		r.tracks = append(r.tracks, track.params)
	}
	r.sort()
	return r
}

// frameDuration is that of frames with a known number of samples.
func frameDuration(codec string, b []byte) clock {
	if codec == "opus" {
		return clockRate / 50 // what libopus makes
	}
	if a, _, _, ok := readADTS(b); ok {
		return a.duration(1)
	}
	return 0
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
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "json", "-flags2", "+skip_manual", "-count_frames", "-show_streams", "-show_packets", "-show_format", "-show_programs", tempFile(t, data))
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

var sources sync.Map // of names to what made functions give

func source(t testing.TB, name string) []byte {
	t.Helper()
	made, _ := sources.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		return runFFmpeg(testVideo+testAudio+"-t 3 "+containerSources[name], strings.ReplaceAll(name, " ", ""))
	}))
	data, err := made.(func() ([]byte, error))()
	require.NoError(t, err)
	return data
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

// Times are exact in both containers, wherever they lie.
func TestContainerTimes(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts"))
	r = r.shift(-r.units[0].dts)
	for name, by := range map[string]clock{
		"zero":             0,
		"a while":          toClock(77777 * time.Second),
		"odd":              1234567 * (clockRate / 90000),
		"before zero":      -clockRate / 10,
		"across zero":      -clockRate,
		"long before zero": toClock(-3 * 365 * 24 * time.Hour),
		"the wrap":         (1<<33)*(clockRate/90000) - clockRate,
		"a thousand years": toClock(250 * 365 * 24 * time.Hour),
		"the largest":      math.MaxInt64 - 10*clockRate,
		"the smallest":     math.MinInt64 + 10*clockRate,
	} {
		t.Run(name, func(t *testing.T) {
			r := r.shift(by)
			ts := r.mustWrite(t, containerOptions{})
			checkTS(t, ts)
			for pid, track := range map[int]int{0x100: 0, 0x101: 1} {
				var got, want []pes
				for _, p := range readPES(t, readTS(t, ts)) {
					if p.pid == pid {
						got = append(got, p)
					}
				}
				end := clock(0)
				for i, u := range r.of(track) {
					if track == 0 || i == 0 || u.dts >= end-clockRate/1000 {
						want = append(want, pes{pts: ticks33(u.pts), dts: ticks33(u.dts)})
						end = u.dts + groupFrames*u.duration
					}
				}
				require.Len(t, got, len(want))
				for i := range want {
					require.Equal(t, want[i].pts, got[i].pts)
					require.Equal(t, want[i].dts, got[i].dts)
				}
			}
			if by < -clockRate*1000 || by > clockRate*1e9 {
				return // ffprobe's own clock ends
			}
			mp4 := r.mustWrite(t, containerOptions{format: FormatMP4})
			requireSame(t, r, readFile(t, mp4), 0)
		})
	}
}

// ticks33 is what a transport stream says of a time.
func ticks33(c clock) int64 { return mulDiv(int64(c), 90000, int64(clockRate)) & (1<<33 - 1) }

// An MP4 counts in a unit that divides its times.
func TestContainerTimeScale(t *testing.T) {
	for name, c := range map[string]struct {
		step, start clock
		want        string
	}{
		"24":          {clockRate / 24, 0, "1/15360"},
		"25":          {clockRate / 25, 0, "1/12800"},
		"30":          {clockRate / 30, 0, "1/15360"},
		"60":          {clockRate / 60, 0, "1/15360"},
		"24000/1001":  {clockRate / 24000 * 1001, 0, "1/24000"},
		"30000/1001":  {clockRate / 30000 * 1001, 0, "1/30000"},
		"60000/1001":  {clockRate / 60000 * 1001, 0, "1/60000"},
		"in ms":       {clockRate / 1000 * 33, 0, "1/24000"},
		"of a TS":     {clockRate / 90000 * 3003, clockRate / 90000 * 7, "1/90000"},
		"of no clock": {clockRate/90000*3003 + 1, 1, "1/90000"},
	} {
		t.Run(name, func(t *testing.T) {
			r := takeApart(t, source(t, "avc+aac.mp4")).only(0)
			r = recording{tracks: r.tracks, units: slices.Clone(r.units)}
			for i := range r.units {
				u := &r.units[i]
				reorder := (u.pts - u.dts) / (clockRate / 30)
				u.dts = c.start + clock(i)*c.step
				u.pts, u.duration = u.dts+reorder*c.step, c.step
			}
			got := readFile(t, r.mustWrite(t, containerOptions{format: FormatMP4}))
			require.Equal(t, c.want, got.Streams[0].TimeBase)
			tolerance := 0.0
			if name == "of no clock" {
				tolerance = 1.0 / 90000
			}
			requireSame(t, r, got, tolerance)
		})
	}
}

// A gap in the sound at the border of two fragments stays where it is.
func TestContainerGap(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts"))
	second := r.of(0)[60]
	require.True(t, second.key)
	gapped := recording{tracks: r.tracks}
	for _, u := range r.units {
		if u.track == 0 || (u.dts-second.dts).abs() > clockRate/10 {
			gapped.units = append(gapped.units, u)
		}
	}
	require.Less(t, len(gapped.units), len(r.units)-5)
	for _, format := range []Format{FormatMPEGTS, FormatMP4} {
		requireSame(t, gapped, readFile(t, gapped.mustWrite(t, containerOptions{format: format})), 1.0/90000)
	}
}

func (c clock) abs() clock { return max(c, -c) }

// What an embedder asks of the muxer is done, or is an error that names it.
func TestContainerOptions(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts"))
	r = r.shift(-r.units[0].dts)
	mp4 := func(flags string) containerOptions {
		return containerOptions{muxer: ComponentOptions{Name: "mp4", Opts: map[string]string{"movflags": flags}}}
	}
	t.Run("unknown", func(t *testing.T) {
		for _, name := range []string{"mpegts", "mp4"} {
			_, err := newContainer(r.tracks, containerOptions{muxer: ComponentOptions{Name: name, Opts: map[string]string{"wibble": "1"}}})
			require.ErrorContains(t, err, "wibble")
			require.ErrorAs(t, err, new(*Error))
		}
		_, err := newContainer(r.tracks, mp4("wobble"))
		require.ErrorContains(t, err, "wobble")
	})
	t.Run("muxers", func(t *testing.T) {
		for _, name := range []string{"flv", "matroska", "mov", "hls"} {
			_, err := newContainer(r.tracks, containerOptions{muxer: ComponentOptions{Name: name}})
			require.ErrorIs(t, err, ErrFormat)
			require.ErrorContains(t, err, name)
		}
		_, err := newContainer(r.tracks, containerOptions{format: 77})
		require.ErrorIs(t, err, ErrFormat)
		_, err = newContainer(nil, containerOptions{})
		require.ErrorIs(t, err, ErrTrack)
	})
	t.Run("movflags", func(t *testing.T) {
		for flags, c := range map[string]struct {
			fragmented, zero bool
			late             float64 // FFmpeg reads pictures of fragments with negative offsets late
		}{
			"frag_keyframe+negative_cts_offsets+omit_tfhd_offset+disable_chpl+default_base_moof": {true, true, 2.0 / 30},
			"frag_keyframe":                       {true, true, 0},
			"frag_keyframe+empty_moov":            {true, false, 0},
			"frag_keyframe+empty_moov+delay_moov": {true, false, 0},
			"dash":                                {true, false, 0},
			"cmaf":                                {true, false, 1.0 / 30},
			"disable_chpl":                        {false, false, 0},
		} {
			b := r.mustWrite(t, mp4(flags))
			require.Equal(t, c.fragmented, bytes.Contains(b, []byte("moof")), flags)
			got := readFile(t, b)
			shift := 0.0
			if c.zero {
				shift -= min(r.of(0)[0].dts, r.of(1)[0].dts).seconds()
			}
			for i, late := range []float64{c.late, 0} {
				require.Equal(t, strconv.Itoa(len(r.of(i))), got.Streams[i].Frames, flags)
				for j, u := range r.of(i)[1:] { // the first may be longer
					require.InDelta(t, u.pts.seconds()+shift+late/2, seconds(t, got.of(i)[j+1].PTS), late/2+0.002, "%s: track %d", flags, i)
				}
			}
		}
	})
	t.Run("one that needs a file", func(t *testing.T) {
		_, err := r.write(mp4("faststart"), 0)
		require.ErrorAs(t, err, new(*Error))
		// A file that is not fragmented cannot be taken before it is complete.
		_, err = r.write(mp4("disable_chpl"), 30)
		require.ErrorAs(t, err, new(*Error))
	})
	t.Run("mpegts", func(t *testing.T) {
		b := r.mustWrite(t, containerOptions{muxer: ComponentOptions{Name: "mpegts", Opts: map[string]string{"mpegts_start_pid": "0x200", "mpegts_pmt_start_pid": "0x500"}}})
		ps := readTS(t, b)
		require.Equal(t, 0x500, ps[1].pid)
		require.Equal(t, 0x200, ps[2].pid)
		b = r.mustWrite(t, containerOptions{format: FormatMP4, muxer: ComponentOptions{Name: "mpegts", Opts: map[string]string{"mpegts_m2ts_mode": "1"}}})
		require.Zero(t, len(b)%192)
		require.EqualValues(t, 0x47, b[4])
	})
	t.Run("metadata", func(t *testing.T) {
		opts := containerOptions{format: FormatMP4, metadata: map[string]string{"title": "a clip", "comment": "of ours"}}
		got := readFile(t, r.mustWrite(t, opts))
		require.Equal(t, "a clip", got.Format.Tags["title"])
		require.Equal(t, "of ours", got.Format.Tags["comment"])
		opts = containerOptions{metadata: map[string]string{"service_name": "channel", "service_provider": "us"}}
		b := r.mustWrite(t, opts)
		got = readFile(t, b)
		require.Equal(t, map[string]string{"service_name": "channel", "service_provider": "us"}, got.Programs[0].Tags)
		ps := readTS(t, b)
		require.Equal(t, []int{0, 0x1000, 0x11}, []int{ps[0].pid, ps[1].pid, ps[2].pid})
	})
}

// Units that cannot be written are refused by name, and the others go on.
func TestContainerRefusals(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts"))
	for _, format := range []Format{FormatMPEGTS, FormatMP4} {
		c, err := newContainer(r.tracks, containerOptions{format: format})
		require.NoError(t, err)
		defer c.close()
		u := r.units[0]
		require.NoError(t, c.write(u))
		for name, bad := range map[string]func(u *unit) error{
			"track":   func(u *unit) error { u.track = 2; return ErrTrack },
			"below":   func(u *unit) error { u.track = -1; return ErrTrack },
			"again":   func(u *unit) error { *u = r.units[0]; return ErrTimestamp },
			"no DTS":  func(u *unit) error { u.dts = noTime; return ErrTimestamp },
			"no PTS":  func(u *unit) error { u.pts = noTime; return ErrTimestamp },
			"too low": func(u *unit) error { u.pts = u.dts - 1; return ErrTimestamp },
		} {
			u := r.units[5]
			want := bad(&u)
			require.ErrorIs(t, c.write(u), want, name)
		}
		u = r.units[5]
		u.data = nil
		require.ErrorAs(t, c.write(u), new(*Error))
		c.limit = c.since + len(r.units[1].data)
		require.ErrorIs(t, c.write(r.units[1]), ErrTooLarge)
		c.limit = maxContainer
		for _, u := range r.units[1:] {
			require.NoError(t, c.write(u))
		}
		require.NoError(t, c.finish())
		require.ErrorIs(t, c.finish(), ErrClosed)
		require.ErrorIs(t, c.write(u), ErrClosed)
		requireSame(t, r, readFile(t, c.take()), 1.0/90000)
		require.Nil(t, c.take())
		c.close()
		c.close()
		require.Nil(t, c.take())
	}
}

// An MP4's header waits for what the tracks say of themselves, with an end.
func TestContainerHeader(t *testing.T) {
	mp4 := containerOptions{format: FormatMP4}
	r := takeApart(t, source(t, "avc+aac.ts"))
	t.Run("nothing", func(t *testing.T) {
		b, err := recording{tracks: r.tracks}.write(mp4, 0)
		require.NoError(t, err)
		require.Empty(t, b)
	})
	t.Run("a silent track", func(t *testing.T) {
		silent := recording{tracks: r.tracks, units: r.of(0)}
		b := silent.mustWrite(t, mp4)
		requireSame(t, r.only(0), readFile(t, b), 0)
	})
	t.Run("a track that begins late", func(t *testing.T) {
		late := recording{tracks: r.tracks}
		for _, u := range r.units {
			if u.track == 0 || u.dts > r.units[0].dts+2*clockRate {
				late.units = append(late.units, u)
			}
		}
		requireSame(t, late, readFile(t, late.mustWrite(t, mp4)), 0)
	})
	t.Run("no keyframe", func(t *testing.T) {
		headless := recording{tracks: r.tracks, units: r.units[1:40]}
		require.True(t, r.units[0].key)
		_, err := headless.write(mp4, 0)
		require.ErrorAs(t, err, new(*Error))
		require.ErrorContains(t, err, "h264")
	})
	t.Run("it does not wait for ever", func(t *testing.T) {
		c, err := newContainer(r.tracks, mp4)
		require.NoError(t, err)
		defer c.close()
		first := r.of(0)
		for i := range 1000 {
			u := first[i%len(first)]
			u.dts = clock(i) * clockRate / 30
			u.pts = u.dts
			if err = c.write(u); len(c.take()) > 0 {
				return // without the silent track
			}
			require.NoError(t, err)
		}
		require.Fail(t, "no header")
	})
	t.Run("sets are in the header only", func(t *testing.T) {
		for _, name := range []string{"avc+aac.ts", "hevc+aac.ts"} {
			r := takeApart(t, source(t, name)).only(0)
			b := r.mustWrite(t, mp4)
			sets, _ := r.nal().head(r.nal().parameterSets(r.units[0].data))
			require.NotEmpty(t, sets)
			for _, nal := range sets {
				require.Equal(t, 1, bytes.Count(b, nal))
			}
		}
		require.Equal(t, "hvc1", readFile(t, takeApart(t, source(t, "hevc+aac.ts")).mustWrite(t, mp4)).Streams[0].CodecTag)
	})
	t.Run("AV1 in-band", func(t *testing.T) {
		r := takeApart(t, source(t, "av1+aac.mp4")).only(0)
		c, err := newContainer(r.tracks, mp4)
		require.NoError(t, err)
		defer c.close()
		c.tracks[0].extradata, c.tracks[0].known = nil, false
		for _, u := range r.units {
			require.NoError(t, c.write(u))
		}
		require.NoError(t, c.finish())
		requireSame(t, r, readFile(t, c.take()), 0)
	})
}

func (r recording) nal() nalSyntax {
	if r.tracks[0].codecName() == "hevc" {
		return hevcNAL
	}
	return avcNAL
}

// A keyframe in a transport stream has its parameter sets, also when the source said them once.
func TestContainerParameterSets(t *testing.T) {
	for _, name := range []string{"avc+aac.ts", "hevc+aac.ts", "avc+aac.mp4", "hevc+aac.mp4"} {
		r := takeApart(t, source(t, name)).only(0)
		s := r.nal()
		units := slices.Clone(r.units)
		keys := 0
		for i := range units {
			if units[i].key {
				if keys++; keys > 1 && strings.HasSuffix(name, ".ts") {
					units[i].data = s.withoutSets(units[i].data, units[i].data)
					require.Nil(t, s.parameterSets(units[i].data))
				}
			}
		}
		require.Greater(t, keys, 1)
		ts := recording{tracks: r.tracks, units: units}.mustWrite(t, containerOptions{})
		for _, p := range readPES(t, readTS(t, ts)) {
			sets, _ := s.head(p.data)
			require.NotEmpty(t, sets)
			require.Equal(t, nalDelimiter, s.role(sets[0][0]))
			require.Equal(t, p.random, s.parameterSets(p.data) != nil)
		}
	}
}

// A fragment whose table is larger than libavformat's buffer.
func TestContainerLargeFragment(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts")).only(0)
	long := recording{tracks: r.tracks}
	for i := range 9000 {
		u := r.units[0]
		u.dts = clock(i) * clockRate / 30
		u.pts = u.dts
		u.key = i == 0
		u.duration = clockRate / 30
		u.data = append(slices.Clone(u.data), bytes.Repeat([]byte{0}, i%7)...)
		long.units = append(long.units, u)
	}
	b := long.mustWrite(t, containerOptions{format: FormatMP4})
	require.Equal(t, 1, bytes.Count(b, []byte("moof")))
	moof := b[bytes.Index(b, []byte("moof"))-4:]
	require.Greater(t, binary.BigEndian.Uint32(moof), uint32(32<<10))
	require.Len(t, readFile(t, b).of(0), 9000)
}

// Every size of allocation fails once: there is an *Error, or the file is whole.
func TestContainerAllocationFailures(t *testing.T) {
	defer limitAllocations(noLimit)
	for _, name := range []string{"avc+aac.ts", "avc+aac.mp4", "avc+ac3.ts"} {
		r := takeApart(t, source(t, name))
		before := LiveHandles()
		for _, format := range []Format{FormatMPEGTS, FormatMP4} {
			opts := containerOptions{format: format, metadata: map[string]string{"title": "a"}}
			want := r.mustWrite(t, opts)
			failed, worked := 0, 0
			for size := 1; worked < 3; size += 1 + size/20 {
				limitAllocations(size)
				b, err := r.write(opts, 11)
				limitAllocations(noLimit)
				require.Equal(t, before, LiveHandles())
				if err != nil {
					require.ErrorAs(t, err, new(*Error), "limit %d", size)
					failed++
					continue
				}
				require.True(t, bytes.Equal(want, b), "limit %d", size)
				worked++
			}
			require.Positive(t, failed)
		}
	}
}

// Memory that is missing for a while is an *Error then or at the end, or was not needed.
func TestContainerShortOfMemory(t *testing.T) {
	defer limitAllocations(noLimit)
	r := takeApart(t, source(t, "avc+aac.ts"))
	for _, format := range []Format{FormatMPEGTS, FormatMP4} {
		opts := containerOptions{format: format}
		want := r.mustWrite(t, opts)
		ops := map[string]int{}
		for at := 0; at <= len(r.units); at++ {
			for _, size := range []int{30, 300, 3000, 30000, 300000} {
				c, err := newContainer(r.tracks, opts)
				require.NoError(t, err)
				var failed error
				for i, u := range r.units {
					if i == at {
						limitAllocations(size)
					}
					err := c.write(u)
					limitAllocations(noLimit)
					failed = cmp.Or(failed, err)
				}
				if at == len(r.units) {
					limitAllocations(size)
				}
				err = c.finish()
				limitAllocations(noLimit)
				if failed = cmp.Or(failed, err); failed == nil {
					require.True(t, bytes.Equal(want, c.take()), "unit %d, limit %d", at, size)
				} else {
					var e *Error
					require.ErrorAs(t, failed, &e)
					ops[e.Op]++
				}
				c.close()
			}
		}
		t.Log(ops)
		require.NotEmpty(t, ops)
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

func BenchmarkContainer(b *testing.B) {
	r := takeApart(b, source(b, "avc+aac.ts"))
	for _, format := range []Format{FormatMPEGTS, FormatMP4} {
		b.Run(format.String(), func(b *testing.B) {
			for b.Loop() {
				out, err := r.write(containerOptions{format: format}, 0)
				require.NoError(b, err)
				b.SetBytes(int64(len(out)))
			}
		})
	}
}
