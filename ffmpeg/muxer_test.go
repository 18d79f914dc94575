package ffmpeg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/require"
)

func TestTicks(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		0:                      0,
		time.Millisecond:       90,
		-time.Millisecond:      -90,
		5555 * time.Nanosecond: 0,
		5556 * time.Nanosecond: 1,
		time.Second / 30:       3000,
		-5556:                  -1,
		math.MaxInt64:          830103483316930,
		math.MinInt64:          -830103483316930,
		30 * 24 * time.Hour:    30 * 86400 * 90000,
	} {
		require.Equal(t, want, ticks(d), d)
	}
}

// wantPES is what the wire must carry for the packets, in order.
func wantPES(m media) []pes {
	var want []pes
	for _, p := range m.packets {
		want = append(want, pes{pid: 0x100 + p.track, pts: ticks(p.PTS) & (1<<33 - 1), dts: ticks(p.DTS) & (1<<33 - 1)})
	}
	return want
}

func checkTimes(t *testing.T, m media, segments [][]byte) {
	t.Helper()
	var got []pes
	for _, s := range segments {
		for _, u := range readPES(t, readTS(t, s)) {
			got = append(got, pes{pid: u.pid, pts: u.pts, dts: u.dts})
		}
	}
	require.Equal(t, wantPES(m), got)
}

func TestMuxerSegments(t *testing.T) {
	all := recorded(t)
	for name, m := range map[string]media{
		"video and audio": all,
		"video":           all.only(0),
		"audio":           all.only(1),
	} {
		t.Run(name, func(t *testing.T) {
			segments := m.segments(t)
			require.GreaterOrEqual(t, len(segments), 4)
			checkSegments(t, segments)
			checkTimes(t, m, segments)

			// An independent reader finds every packet, with its times, in the whole.
			whole := ffprobe(t, bytes.Join(segments, nil))
			require.Len(t, whole.Streams, len(m.tracks))
			for i := range m.tracks {
				var got []pes
				for _, p := range whole.Packets {
					if p.Stream == i {
						got = append(got, pes{pts: p.PTS, dts: p.DTS})
					}
				}
				var want []pes
				for _, p := range m.of(i) {
					want = append(want, pes{pts: ticks(p.PTS), dts: ticks(p.DTS)})
				}
				require.Equal(t, want, got)
				require.Equal(t, strconv.Itoa(len(want)), whole.Streams[i].Frames, "every packet decodes to a frame")
			}
			// Each segment alone decodes completely.
			frames := 0
			for _, s := range segments {
				p := ffprobe(t, s)
				require.Contains(t, p.Packets[0].Flags, "K")
				for _, st := range p.Streams {
					n, err := strconv.Atoi(st.Frames)
					require.NoError(t, err)
					frames += n
				}
			}
			require.Equal(t, len(m.packets), frames)
		})
	}
}

// A second reader, which shares no code with libav, finds the same.
func TestMuxerOtherReader(t *testing.T) {
	m := recorded(t)
	r := &mpegts.Reader{R: bytes.NewReader(bytes.Join(m.segments(t), nil))}
	require.NoError(t, r.Initialize())
	require.Len(t, r.Tracks(), 2)
	r.OnDecodeError(func(err error) { require.NoError(t, err) })
	var video, audio []Packet
	for _, track := range r.Tracks() {
		switch codec := track.Codec.(type) {
		case *tscodecs.H264:
			r.OnDataH264(track, func(pts, dts int64, au [][]byte) error {
				key := slices.ContainsFunc(au, func(nal []byte) bool { return nal[0]&0x1f == 5 })
				video = append(video, Packet{PTS: time.Duration(pts), DTS: time.Duration(dts), Key: key})
				return nil
			})
		case *tscodecs.MPEG4Audio:
			require.Equal(t, 44100, codec.SampleRate)
			require.EqualValues(t, 2, codec.ChannelConfig)
			r.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) error {
				require.Len(t, aus, 1)
				audio = append(audio, Packet{PTS: time.Duration(pts), DTS: time.Duration(pts), Key: true, Data: aus[0]})
				return nil
			})
		}
	}
	var err error
	for err == nil {
		err = r.Read()
	}
	require.ErrorIs(t, err, io.EOF)
	for track, got := range [][]Packet{video, audio} {
		want := slices.Clone(m.of(track))
		for i := range want {
			want[i].PTS, want[i].DTS = time.Duration(ticks(want[i].PTS)), time.Duration(ticks(want[i].DTS))
			if track == 0 {
				want[i].Data = nil
			}
		}
		require.Equal(t, want, got)
	}
}

// Every access unit starts with one AUD, and an IDR picture has its parameter sets.
func TestMuxerAnnexB(t *testing.T) {
	m := recorded(t).only(0)
	i := 0
	for _, s := range m.segments(t) {
		for j, u := range readPES(t, readTS(t, s)) {
			types := nalTypes(u.data)
			require.Equal(t, 9, types[0])
			require.Equal(t, 0, slices.Index(types[1:], 9)+1, "one AUD")
			if m.packets[i].Key {
				require.Contains(t, types, 7)
				require.Contains(t, types, 8)
				require.True(t, u.random)
			}
			require.Equal(t, j == 0 || m.packets[i].Key, m.packets[i].Key)
			i++
		}
	}
	require.Equal(t, len(m.packets), i)
}

func TestMuxerLongTimes(t *testing.T) {
	wrap := time.Duration(1<<33) * time.Second / 90000
	m := recorded(t)
	for name, by := range map[string]time.Duration{
		"zero":          -m.packets[0].DTS,
		"before zero":   -4 * time.Second,
		"at the wrap":   wrap - 4*time.Second,
		"after it":      wrap + time.Hour,
		"30 days":       30 * 24 * time.Hour,
		"200 years":     200 * 365 * 24 * time.Hour,
		"not a tick":    time.Second + 7654321,
		"32 bits of ms": time.Duration(math.MaxUint32)*time.Millisecond - 4*time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			m := m.shift(by)
			segments := m.segments(t)
			require.Equal(t, 4, len(segments))
			checkSegments(t, segments)
			checkTimes(t, m, segments)
			for _, s := range segments {
				ffprobe(t, s)
			}
		})
	}
}

func TestMuxerZero(t *testing.T) {
	m := recorded(t).only(1)
	s := m.shift(-m.packets[0].DTS).segments(t)[0]
	u := readPES(t, readTS(t, s))[0]
	require.Equal(t, []int64{0, 0, 0}, []int64{u.pts, u.dts, u.pcr})
	require.EqualValues(t, 0xff, u.data[0], "ADTS")
}

func TestMuxerTimestampErrors(t *testing.T) {
	m := recorded(t)
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	defer mux.Close()
	data := m.of(0)[0].Data
	write := func(track int, dts, pts time.Duration) error {
		return mux.WritePacket(track, Packet{DTS: dts, PTS: pts, Key: true, Data: data})
	}
	require.NoError(t, write(0, time.Second, time.Second))
	require.ErrorIs(t, write(0, time.Second, time.Second), ErrTimestamp)
	require.ErrorIs(t, write(0, 999*time.Millisecond, time.Second), ErrTimestamp)
	require.ErrorIs(t, write(0, time.Second+time.Microsecond, 2*time.Second), ErrTimestamp, "the same tick")
	require.ErrorIs(t, write(0, 2*time.Second, 1999*time.Millisecond), ErrTimestamp)
	require.NoError(t, write(1, time.Millisecond, time.Millisecond), "the other track has its own order")
	require.NoError(t, write(0, 2*time.Second, 2*time.Second))
	b, err := mux.Cut()
	require.NoError(t, err)
	require.Len(t, readPES(t, readTS(t, b)), 3)
}

func TestMuxerMalformedPackets(t *testing.T) {
	m := recorded(t)
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	defer mux.Close()
	good := m.of(0)[0]
	at := time.Duration(0)
	step := func(p Packet) error {
		at += 40 * time.Millisecond
		p.DTS, p.PTS = at, at
		return mux.WritePacket(0, p)
	}
	for name, data := range map[string][]byte{
		"nothing":           nil,
		"one byte":          {0},
		"part of a length":  {0, 0, 0},
		"only a length":     {0, 0, 0, 9},
		"empty NAL units":   make([]byte, 64),
		"length too large":  {0xff, 0xff, 0xff, 0xff, 0x65},
		"cut off":           good.Data[:len(good.Data)-3],
		"one byte too many": append(slices.Clone(good.Data), 1),
	} {
		err := step(Packet{Key: true, Data: data})
		var e *Error
		require.ErrorAs(t, err, &e, name)
		require.Negative(t, e.Code)
		require.NotEmpty(t, e.Op)
		require.NotEmpty(t, err.Error())
		require.NoError(t, step(good), "after %s", name)
	}
	require.ErrorAs(t, mux.WritePacket(1, Packet{Data: []byte{1}}), new(*Error))
	require.ErrorAs(t, mux.WritePacket(1, Packet{DTS: 1e9, PTS: 1e9, Data: make([]byte, 20000)}), new(*Error))
	require.NoError(t, mux.WritePacket(1, Packet{DTS: 2e9, PTS: 2e9, Data: m.of(1)[0].Data}))

	b, err := mux.Cut()
	require.NoError(t, err)
	checkSegments(t, [][]byte{b})
	units := readPES(t, readTS(t, b))
	require.Len(t, units, 9)
	for _, u := range units[:8] {
		require.Contains(t, nalTypes(u.data), 7)
	}
}

// A first packet that looks like Annex B, or is very short, does not decide how later
// packets are read, and an IDR picture after one with its own SPS has one too.
func TestMuxerKeepsNoState(t *testing.T) {
	m := recorded(t).only(0)
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	defer mux.Close()
	nal := func(units ...[]byte) []byte { return nalUnits(m.tracks[0].Video.Extradata, units...) }
	sps, pps, idr := []byte{0x67, 66, 0, 10, 1}, []byte{0x68, 1, 2}, []byte{0x65, 0x88, 1, 2, 3}
	for i, data := range [][]byte{
		nal([]byte{0x0c}),
		nal(sps, pps, idr),
		nal(idr),
		nal(idr, []byte{0x65, 0x08, 1}), // a second slice
	} {
		at := time.Duration(i) * time.Second
		require.NoError(t, mux.WritePacket(0, Packet{DTS: at, PTS: at, Key: true, Data: data}))
	}
	b, err := mux.Cut()
	require.NoError(t, err)
	var got [][]int
	for _, u := range readPES(t, readTS(t, b)) {
		got = append(got, nalTypes(u.data))
	}
	require.Equal(t, [][]int{{9, 12}, {9, 7, 8, 5}, {9, 7, 8, 5}, {9, 7, 8, 5, 5}}, got)
}

func TestMuxerLimit(t *testing.T) {
	m := recorded(t)
	mux, err := newMuxer(100_000, FormatMPEGTS, m.tracks)
	require.NoError(t, err)
	defer mux.Close()
	var segments [][]byte
	for i := 0; i < len(m.packets); {
		p := m.packets[i]
		err := mux.WritePacket(p.track, p.Packet)
		if err == nil {
			i++
			continue
		}
		require.ErrorIs(t, err, ErrTooLarge)
		b, err := mux.Cut()
		require.NoError(t, err)
		require.NotEmpty(t, b)
		require.LessOrEqual(t, len(b), 100_000)
		segments = append(segments, b)
	}
	b, err := mux.Cut()
	require.NoError(t, err)
	segments = append(segments, b)
	require.Greater(t, len(segments), 3)
	checkTimes(t, m, segments)

	require.ErrorIs(t, mux.WritePacket(0, Packet{DTS: time.Hour, PTS: time.Hour, Data: make([]byte, 100_001)}), ErrTooLarge)
	require.ErrorIs(t, mux.WritePacket(0, Packet{DTS: time.Hour, PTS: time.Hour, Data: make([]byte, maxSegment+1)}), ErrTooLarge)
}

func TestMuxerCutsNothing(t *testing.T) {
	mux, err := NewMuxer(FormatMPEGTS, recorded(t).tracks...)
	require.NoError(t, err)
	defer mux.Close()
	for range 3 {
		b, err := mux.Cut()
		require.NoError(t, err)
		require.Empty(t, b)
	}
}

func TestMuxerClosed(t *testing.T) {
	m := recorded(t)
	before := LiveHandles()
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	require.Equal(t, before+1, LiveHandles())
	require.NoError(t, mux.WritePacket(0, m.of(0)[0]))
	mux.Close()
	mux.Close()
	require.Equal(t, before, LiveHandles())
	require.ErrorIs(t, mux.WritePacket(0, m.of(0)[1]), ErrClosed)
	_, err = mux.Cut()
	require.ErrorIs(t, err, ErrClosed)
}

func TestNewMuxerErrors(t *testing.T) {
	before := LiveHandles()
	m := recorded(t)
	video, audio := m.tracks[0], m.tracks[1]
	for name, c := range map[string]struct {
		format Format
		tracks []Track
		want   error // nil for an *Error
	}{
		"MP4":          {FormatMP4, m.tracks, ErrFormat},
		"no format":    {FormatNone, m.tracks, ErrFormat},
		"HEVC":         {FormatMPEGTS, []Track{{Video: &VideoTrack{Codec: H265, Extradata: video.Video.Extradata}}}, ErrFormat},
		"no track":     {FormatMPEGTS, nil, ErrTrack},
		"empty track":  {FormatMPEGTS, []Track{video, {}}, ErrTrack},
		"two in one":   {FormatMPEGTS, []Track{{Video: video.Video, Audio: audio.Audio}}, ErrTrack},
		"no extradata": {FormatMPEGTS, []Track{{Video: &VideoTrack{}}}, nil},
		"Annex B":      {FormatMPEGTS, []Track{{Video: &VideoTrack{Extradata: []byte{0, 0, 0, 1, 0x67, 1, 2, 3}}}}, nil},
		"short SPS":    {FormatMPEGTS, []Track{{Video: &VideoTrack{Extradata: video.Video.Extradata[:12]}}}, nil},
		"no config":    {FormatMPEGTS, []Track{{Audio: &AudioTrack{}}}, nil},
		"bad config":   {FormatMPEGTS, []Track{{Audio: &AudioTrack{Extradata: []byte{0xff, 0xff, 0xff}, SampleRate: 48000, Channels: 2}}}, nil},
		"huge":         {FormatMPEGTS, []Track{{Audio: &AudioTrack{Extradata: make([]byte, 1<<20)}}}, nil},
		"many":         {FormatMPEGTS, slices.Repeat([]Track{audio}, 17), nil},
	} {
		t.Run(name, func(t *testing.T) {
			mux, err := NewMuxer(c.format, c.tracks...)
			require.Nil(t, mux)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				return
			}
			require.ErrorAs(t, err, new(*Error))
		})
	}
	require.Equal(t, before, LiveHandles())

	mux, err := NewMuxer(FormatMPEGTS, video)
	require.NoError(t, err)
	defer mux.Close()
	require.ErrorIs(t, mux.WritePacket(1, m.of(0)[0]), ErrTrack)
	require.ErrorIs(t, mux.WritePacket(-1, m.of(0)[0]), ErrTrack)
}

// Rate and channels are not needed: the AudioSpecificConfig has them.
func TestMuxerUnknownRate(t *testing.T) {
	m := recorded(t).only(1)
	m.tracks = []Track{{Audio: &AudioTrack{Extradata: m.tracks[0].Audio.Extradata}}}
	segments := m.segments(t)
	checkSegments(t, segments)
	checkTimes(t, m, segments)
	ffprobe(t, segments[1])
}

func TestMuxersAreIndependent(t *testing.T) {
	m := recorded(t)
	want := m.segments(t)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
			if err != nil {
				errs[i] = err
				return
			}
			defer mux.Close()
			for _, p := range m.packets {
				if err := mux.WritePacket(p.track, p.Packet); err != nil {
					errs[i] = fmt.Errorf("packet at %v: %w", p.DTS, err)
					return
				}
			}
			b, err := mux.Cut()
			if err != nil || len(b) < len(want[0])*3 {
				errs[i] = fmt.Errorf("%d bytes: %w", len(b), errors.Join(err, errors.ErrUnsupported))
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}
