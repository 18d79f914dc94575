package ffmpeg

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rawPlanes are a picture that depends on n.
func rawPlanes(w, h, n int) (y, u, v []byte) {
	y, u, v = make([]byte, w*h), make([]byte, w*h/4), make([]byte, w*h/4)
	for i := range y {
		y[i] = byte(16 + (i%w+i/w+3*n)%200)
	}
	for i := range u {
		u[i], v[i] = byte(100+n%50), byte(150-n%50)
	}
	return y, u, v
}

func TestRawVideo(t *testing.T) {
	for name, c := range map[string]struct {
		opts RawVideoOptions
		skip func(n int64) bool
		keys []int64 // the numbers of the keyframes
	}{
		"every picture": {
			RawVideoOptions{Width: 320, Height: 180, FrameRate: 25, GOP: 20, Bitrate: 300_000},
			func(int64) bool { return false }, []int64{0, 20, 40, 60},
		},
		"no x264 keyframes in between": {
			RawVideoOptions{Width: 64, Height: 48, FrameRate: 30, GOP: 7, Bitrate: 100_000, Preset: "ultrafast"},
			func(n int64) bool { return n == 14 || n > 22 && n < 51 }, []int64{0, 7, 15, 21, 51, 56, 63, 70, 77},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewRawVideoEncoder(c.opts)
			require.NoError(t, err)
			defer v.Close()
			m, err := NewMuxer(FormatMPEGTS, Track{Video: &VideoTrack{Codec: H264, Extradata: v.Extradata(), Width: c.opts.Width, Height: c.opts.Height}})
			require.NoError(t, err)
			defer m.Close()
			var keys []int64
			pictures := 0
			for n := range int64(80) {
				if c.skip(n) {
					continue
				}
				y, u, w := rawPlanes(c.opts.Width, c.opts.Height, int(n))
				packets, err := v.Encode(n, y, u, w)
				require.NoError(t, err)
				require.Len(t, packets, 1, "no picture waits")
				p := packets[0]
				require.Equal(t, time.Duration(math.Round(float64(n)*1e9/float64(c.opts.FrameRate))), p.PTS)
				require.Equal(t, p.PTS, p.DTS)
				if p.Key {
					keys = append(keys, n)
				}
				require.NoError(t, m.WritePacket(0, p))
				pictures++
			}
			rest, err := v.Flush()
			require.NoError(t, err)
			require.Empty(t, rest)
			require.Equal(t, c.keys, keys)
			segment, err := m.Cut()
			require.NoError(t, err)
			got := ffprobe(t, segment)
			require.Len(t, got.Streams, 1)
			require.Equal(t, strconv.Itoa(pictures), got.Streams[0].Frames)
		})
	}
}

func TestRawVideoRefuses(t *testing.T) {
	good := RawVideoOptions{Width: 64, Height: 48}
	for name, c := range map[string]struct {
		change func(*RawVideoOptions)
		option string // "" when libav refuses
	}{
		"no size":     {func(o *RawVideoOptions) { o.Width = 0 }, "Width"},
		"odd width":   {func(o *RawVideoOptions) { o.Width = 65 }, "Width"},
		"odd height":  {func(o *RawVideoOptions) { o.Height = 49 }, "Height"},
		"huge":        {func(o *RawVideoOptions) { o.Width, o.Height = 8192, 8192 }, "Height"},
		"rate":        {func(o *RawVideoOptions) { o.FrameRate = 241 }, "FrameRate"},
		"below zero":  {func(o *RawVideoOptions) { o.GOP = -1 }, "GOP"},
		"bitrate":     {func(o *RawVideoOptions) { o.Bitrate = 1 }, "Bitrate"},
		"no preset":   {func(o *RawVideoOptions) { o.Preset = "warp" }, ""},
		"bad default": {func(o *RawVideoOptions) { o.FrameRate = -30 }, "FrameRate"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.change(&o)
			v, err := NewRawVideoEncoder(o)
			require.Nil(t, v)
			if c.option == "" {
				require.ErrorAs(t, err, new(*Error))
				return
			}
			var bad *RawOptionError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, c.option, bad.Option)
			require.NotEmpty(t, bad.Error())
		})
	}
}

func TestRawVideoMisuse(t *testing.T) {
	before := LiveHandles()
	v, err := NewRawVideoEncoder(RawVideoOptions{Width: 64, Height: 48})
	require.NoError(t, err)
	y, u, w := rawPlanes(64, 48, 0)
	_, err = v.Encode(0, y[1:], u, w)
	require.ErrorIs(t, err, ErrFormat)
	_, err = v.Encode(0, y, nil, w)
	require.ErrorIs(t, err, ErrFormat)
	for _, c := range []struct {
		n    int64
		want error
	}{{-1, ErrTimestamp}, {5, nil}, {5, ErrTimestamp}, {4, ErrTimestamp}, {math.MaxInt64, ErrTimestamp}, {6, nil}} {
		_, err = v.Encode(c.n, y, u, w)
		require.ErrorIs(t, err, c.want, c.n)
	}
	_, err = v.Flush()
	require.NoError(t, err)
	_, err = v.Encode(7, y, u, w)
	require.ErrorIs(t, err, ErrClosed)
	_, err = v.Flush()
	require.ErrorIs(t, err, ErrClosed)
	v.Close()
	v.Close()
	_, err = v.Encode(8, y, u, w)
	require.ErrorIs(t, err, ErrClosed)
	require.Equal(t, before, LiveHandles())
}

func TestRawAudio(t *testing.T) {
	for name, opts := range map[string]RawAudioOptions{
		"default":        {},
		"mono, 44.1 kHz": {SampleRate: 44100, Channels: 1, Bitrate: 48_000},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := NewRawAudioEncoder(opts)
			require.NoError(t, err)
			defer a.Close()
			rate, channels := a.opts.SampleRate, a.opts.Channels
			m, err := NewMuxer(FormatMPEGTS, Track{Audio: &AudioTrack{Extradata: a.Extradata(), SampleRate: rate, Channels: channels}})
			require.NoError(t, err)
			defer m.Close()
			var packets []Packet
			pcm := make([]float32, 0, rate*channels)
			for i := range rate {
				for range channels {
					pcm = append(pcm, float32(0.1*math.Sin(2*math.Pi*440*float64(i)/float64(rate))))
				}
			}
			for i, sizes := 0, []int{1, 5000, 700, 1024, 1023}; len(pcm) > 0; i++ { // any number of samples
				n := min(sizes[i%len(sizes)]*channels, len(pcm))
				out, err := a.Encode(pcm[:n])
				require.NoError(t, err)
				packets, pcm = append(packets, out...), pcm[n:]
			}
			out, err := a.Flush()
			require.NoError(t, err)
			packets = append(packets, out...)
			require.Len(t, packets, (rate+a.size-1)/a.size+1)
			for i, p := range packets {
				require.Equal(t, a.time(int64((i-1)*a.FrameSamples())), p.PTS)
				require.NoError(t, m.WritePacket(0, p))
			}
			segment, err := m.Cut()
			require.NoError(t, err)
			got := ffprobe(t, segment)
			require.Equal(t, strconv.Itoa(len(packets)), got.Streams[0].Frames)

			_, err = a.Encode(make([]float32, 2))
			require.ErrorIs(t, err, ErrClosed)
			a.Close()
			_, err = a.Flush()
			require.ErrorIs(t, err, ErrClosed)
		})
	}
}

func TestRawAudioRefuses(t *testing.T) {
	for option, o := range map[string]RawAudioOptions{
		"SampleRate": {SampleRate: 47999}, "Channels": {Channels: 3}, "Bitrate": {Bitrate: -1},
	} {
		_, err := NewRawAudioEncoder(o)
		var bad *RawOptionError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, option, bad.Option)
	}
	a, err := NewRawAudioEncoder(RawAudioOptions{})
	require.NoError(t, err)
	defer a.Close()
	_, err = a.Encode(make([]float32, 3))
	require.ErrorIs(t, err, ErrFormat)
}

// Every size of allocation fails once: there is an *Error, or it works, and nothing stays open.
func TestRawAllocationFailures(t *testing.T) {
	defer limitAllocations(noLimit)
	before := LiveHandles()
	y, u, w := rawPlanes(64, 48, 0)
	failed := 0
	for size := 1; size < 1<<20; size += 1 + size/10 {
		limitAllocations(size)
		v, err := NewRawVideoEncoder(RawVideoOptions{Width: 64, Height: 48})
		if err == nil {
			_, err = v.Encode(0, y, u, w)
			v.Close()
		}
		a, audioErr := NewRawAudioEncoder(RawAudioOptions{})
		if audioErr == nil {
			_, audioErr = a.Encode(make([]float32, 8192))
			a.Close()
		}
		for _, err := range []error{err, audioErr} {
			if err != nil {
				failed++
				require.ErrorAs(t, err, new(*Error), "limit %d", size)
			}
		}
		require.Equal(t, before, LiveHandles(), "limit %d", size)
	}
	require.Positive(t, failed)
}

func TestFromAnnexB(t *testing.T) {
	for name, c := range map[string]struct{ in, want []byte }{
		"nothing":             {nil, []byte{}},
		"no start code":       {[]byte{1, 2, 3}, []byte{}},
		"empty units":         {[]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 1}, []byte{}},
		"long and short":      {[]byte{0, 0, 0, 1, 0x67, 5, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 7}, []byte{0, 0, 0, 2, 0x67, 5, 0, 0, 0, 1, 0x68, 0, 0, 0, 2, 0x65, 7}},
		"zeros behind":        {[]byte{0, 0, 1, 0x65, 7, 0, 0}, []byte{0, 0, 0, 2, 0x65, 7}},
		"what is in front":    {[]byte{9, 9, 0, 0, 1, 0x65}, []byte{0, 0, 0, 1, 0x65}},
		"emulation prevented": {[]byte{0, 0, 1, 0x65, 0, 0, 3, 1}, []byte{0, 0, 0, 5, 0x65, 0, 0, 3, 1}},
	} {
		require.Equal(t, c.want, fromAnnexB(c.in), name)
	}
	for name, sets := range map[string][]byte{
		"nothing":   nil,
		"no PPS":    {0, 0, 1, 0x67, 66, 0, 30},
		"no SPS":    {0, 0, 1, 0x68, 1},
		"short SPS": {0, 0, 1, 0x67, 66, 1, 0, 0, 1, 0x68, 1},
	} {
		_, err := avcRecord(sets)
		require.ErrorAs(t, err, new(*Error), name)
	}
}
