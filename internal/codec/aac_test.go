package codec

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/stretchr/testify/require"
)

// aacConfigs with ffmpeg options are what FFmpeg 5.1 writes with
//
//	ffmpeg -f lavfi -i sine=r=48000:d=0.2 -c:a aac OPTIONS x.mp4
//	ffprobe -show_data -show_entries stream=extradata x.mp4
//
// and were compared with what ffprobe says of the file. The others are put together by hand from
// ISO/IEC 14496-3 1.6.2.1, as no encoder here makes them.
var aacConfigs = []struct {
	name, options string
	asc           string
	want          AAC // without Config
	layout        av.ChannelLayout
	index         uint // SampleRateIndex
	channelConfig uint
	codecs        string
}{
	{"LC mono 44.1 kHz", "-ar 44100 -ac 1", "120856e500",
		AAC{ObjectType: 2, SampleRate: 44100, OutputSampleRate: 44100, Channels: 1, FrameSamples: 1024},
		av.CH_MONO, 4, 1, "mp4a.40.2"},
	{"LC stereo 44.1 kHz", "-ar 44100 -ac 2", "121056e500",
		AAC{ObjectType: 2, SampleRate: 44100, OutputSampleRate: 44100, Channels: 2, FrameSamples: 1024},
		av.CH_STEREO, 4, 2, "mp4a.40.2"},
	{"LC mono 48 kHz", "-ar 48000 -ac 1", "118856e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 1, FrameSamples: 1024},
		av.CH_MONO, 3, 1, "mp4a.40.2"},
	{"LC stereo 48 kHz", "-ar 48000 -ac 2", "119056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024},
		av.CH_STEREO, 3, 2, "mp4a.40.2"},
	{"LC 5.1", "-ar 48000 -ac 6", "11b056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 6, FrameSamples: 1024},
		av.CH_SURROUND | backPair | av.CH_LOW_FREQ, 3, 6, "mp4a.40.2"},
	{"LC 7.1", "-ar 48000 -channel_layout 7.1", "11b856e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 8, FrameSamples: 1024},
		av.CH_SURROUND | sidePair | backPair | av.CH_LOW_FREQ, 3, 7, "mp4a.40.2"},
	{"LC 96 kHz", "-ar 96000 -ac 2", "101056e500",
		AAC{ObjectType: 2, SampleRate: 96000, OutputSampleRate: 96000, Channels: 2, FrameSamples: 1024},
		av.CH_STEREO, 0, 2, "mp4a.40.2"},
	{"LC 8 kHz", "-ar 8000 -ac 1", "158856e500",
		AAC{ObjectType: 2, SampleRate: 8000, OutputSampleRate: 8000, Channels: 1, FrameSamples: 1024},
		av.CH_MONO, 11, 1, "mp4a.40.2"},
	{"Main", "-profile:a aac_main -ac 2", "099056e500",
		AAC{ObjectType: 1, SampleRate: 48000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024},
		av.CH_STEREO, 3, 2, "mp4a.40.1"},

	// A program config element: FFmpeg has no channel configuration for these.
	{"PCE 2.1", "-ar 48000 -channel_layout 2.1", "118004c4010020000d4c61766335392e33372e31303056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 3, FrameSamples: 1024},
		av.CH_2POINT1, 3, 0, "mp4a.40.2"},
	{"PCE quad", "-ar 48000 -channel_layout quad", "118004c4040021100d4c61766335392e33372e31303056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 4, FrameSamples: 1024},
		av.CH_STEREO | backPair, 3, 0, "mp4a.40.2"},
	{"PCE 5.1(side)", "-ar 48000 -channel_layout 5.1(side)", "118004c844002000c40d4c61766335392e33372e31303056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 6, FrameSamples: 1024},
		av.CH_SURROUND | av.CH_SIDE_LEFT | backPair, 3, 0, "mp4a.40.2"},
	{"PCE 6.1", "-ar 48000 -channel_layout 6.1", "118004c848002000c4400d4c61766335392e33372e31303056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 7, FrameSamples: 1024},
		av.CH_SURROUND | av.CH_SIDE_LEFT | backPair | av.CH_BACK_CENTER, 3, 0, "mp4a.40.2"},
	{"PCE 7.1(wide)", "-ar 48000 -channel_layout 7.1(wide)", "118004c848002000c6400d4c61766335392e33372e31303056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 8, FrameSamples: 1024},
		av.CH_SURROUND | sidePair | backPair | av.CH_LOW_FREQ, 3, 0, "mp4a.40.2"},
	{"PCE octagonal", "-ar 48000 -channel_layout octagonal", "118004c848002008c8200d4c61766335392e33372e31303056e500",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 8, FrameSamples: 1024},
		av.CH_SURROUND | sidePair | backPair | av.CH_BACK_CENTER, 3, 0, "mp4a.40.2"},

	// By hand.
	{"LC without extension", "", "1190",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024},
		av.CH_STEREO, 3, 2, "mp4a.40.2"},
	{"LC 960", "", "1194",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 960},
		av.CH_STEREO, 3, 2, "mp4a.40.2"},
	{"LC 4.0", "", "11a0",
		AAC{ObjectType: 2, SampleRate: 48000, OutputSampleRate: 48000, Channels: 4, FrameSamples: 1024},
		av.CH_SURROUND | av.CH_BACK_CENTER, 3, 4, "mp4a.40.2"},
	{"LTP", "", "2190",
		AAC{ObjectType: 4, SampleRate: 48000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024},
		av.CH_STEREO, 3, 2, "mp4a.40.4"},
	{"HE-AAC, in front", "", "2b118800",
		AAC{ObjectType: 2, SampleRate: 24000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024, SBR: true},
		av.CH_STEREO, 6, 2, "mp4a.40.5"},
	{"HE-AAC v2, in front", "", "eb098800",
		AAC{ObjectType: 2, SampleRate: 24000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024, SBR: true, PS: true},
		av.CH_STEREO, 6, 1, "mp4a.40.29"},
	{"HE-AAC, behind", "", "131056e598",
		AAC{ObjectType: 2, SampleRate: 24000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024, SBR: true},
		av.CH_STEREO, 6, 2, "mp4a.40.5"},
	{"HE-AAC v2, behind", "", "130856e59d4880",
		AAC{ObjectType: 2, SampleRate: 24000, OutputSampleRate: 48000, Channels: 2, FrameSamples: 1024, SBR: true, PS: true},
		av.CH_STEREO, 6, 1, "mp4a.40.29"},
	{"HE-AAC, behind, no PS", "", "130856e59d4800",
		AAC{ObjectType: 2, SampleRate: 24000, OutputSampleRate: 48000, Channels: 1, FrameSamples: 1024, SBR: true},
		av.CH_MONO, 6, 1, "mp4a.40.5"},
}

func TestParseAACConfig(t *testing.T) {
	for _, c := range aacConfigs {
		t.Run(c.name, func(t *testing.T) {
			asc := unhex(t, c.asc)
			input := slices.Clone(asc)
			aac, err := ParseAACConfig(input)
			require.NoError(t, err)
			clear(input) // a copy was kept

			data := aac.Config
			require.Equal(t, av.AAC, data.Type())
			require.Equal(t, c.want.SampleRate, data.SampleRate())
			require.Equal(t, c.layout, data.ChannelLayout())
			require.Equal(t, c.want.Channels, data.ChannelLayout().Count())
			require.Equal(t, av.FLTP, data.SampleFormat())
			require.Equal(t, asc, data.MPEG4AudioConfigBytes())
			require.EqualValues(t, c.want.ObjectType, data.Config.ObjectType)
			require.Equal(t, c.index, data.Config.SampleRateIndex)
			require.Equal(t, c.channelConfig, data.Config.ChannelConfig)
			require.True(t, data.Config.IsValid())
			if c.want.FrameSamples == 1024 {
				d, err := data.PacketDuration(nil)
				require.NoError(t, err)
				require.InDelta(t, aac.FrameDuration(1), d, 1)
			}

			require.Equal(t, c.codecs, aac.CodecString())
			c.want.Config = data
			require.Equal(t, &c.want, aac)
		})
	}
}

// ga writes an AudioSpecificConfig up to the channel configuration.
func ga(objectType, rateIndex, channelConfig uint64) *bitWriter {
	return (&bitWriter{}).u(5, objectType).u(4, rateIndex).u(4, channelConfig)
}

// pce writes an AudioSpecificConfig with a program config element of so many elements, all of
// them single channels.
func pce(front, side, back, lfe, assoc, coupling uint64) *bitWriter {
	w := ga(2, 3, 0).u(3, 0)
	w.u(4+2+4, 0).u(4, front).u(4, side).u(4, back).u(2, lfe).u(3, assoc).u(4, coupling)
	w.u(1, 1).u(4, 0).u(1, 1).u(4, 0).u(1, 1).u(3, 0) // all three mixdowns
	for range front + side + back {
		w.u(5, 0)
	}
	for range lfe + assoc {
		w.u(4, 0)
	}
	for range coupling {
		w.u(5, 0)
	}
	return w.u(-w.n&7, 0).u(8, 2).u(16, 0x4142)
}

func TestParseAACConfigByHand(t *testing.T) {
	for _, c := range []struct {
		name  string
		asc   []byte
		want  error
		check func(t *testing.T, a *AAC)
	}{
		{name: "explicit rate", asc: ga(2, 15, 0).data[:1], want: ErrConfig},
		{name: "explicit rate from the table", asc: (&bitWriter{}).u(5, 2).u(4, 15).u(24, 44100).u(4, 2).u(3, 0).data, check: func(t *testing.T, a *AAC) {
			require.Equal(t, 44100, a.SampleRate)
			require.EqualValues(t, 4, a.Config.Config.SampleRateIndex)
		}},
		{name: "explicit rate of its own", asc: (&bitWriter{}).u(5, 2).u(4, 15).u(24, 37800).u(4, 2).u(3, 0).data, check: func(t *testing.T, a *AAC) {
			require.Equal(t, 37800, a.SampleRate)
			require.Equal(t, 37800, a.Config.SampleRate())
			require.EqualValues(t, 37800, a.Config.Config.SampleRateIndex)
			_, err := a.Config.PacketDuration(nil)
			require.NoError(t, err)
		}},
		{name: "explicit rate 0", asc: (&bitWriter{}).u(5, 2).u(4, 15).u(24, 0).u(4, 2).u(3, 0).data, want: ErrConfig},
		{name: "explicit rate 7349", asc: (&bitWriter{}).u(5, 2).u(4, 15).u(24, 7349).u(4, 2).u(3, 0).data, want: ErrConfig},
		{name: "explicit rate 96001", asc: (&bitWriter{}).u(5, 2).u(4, 15).u(24, 96001).u(4, 2).u(3, 0).data, want: ErrConfig},
		{name: "reserved rate 13", asc: ga(2, 13, 2).u(3, 0).data, want: ErrConfig},
		{name: "reserved rate 14", asc: ga(2, 14, 2).u(3, 0).data, want: ErrConfig},
		{name: "SBR to a reserved rate", asc: ga(5, 6, 2).u(4, 13).u(5, 2).u(3, 0).data, want: ErrConfig},
		{name: "SBR to an explicit rate", asc: ga(5, 6, 2).u(4, 15).u(24, 48000).u(5, 2).u(3, 0).data, check: func(t *testing.T, a *AAC) {
			require.Equal(t, 48000, a.OutputSampleRate)
		}},
		{name: "SBR to 192 kHz", asc: ga(5, 0, 2).u(4, 15).u(24, 192000).u(5, 2).u(3, 0).data, want: ErrConfig},
		{name: "SBR that keeps the rate", asc: ga(5, 3, 2).u(4, 3).u(5, 2).u(3, 0).data, check: func(t *testing.T, a *AAC) {
			require.Equal(t, 48000, a.OutputSampleRate)
			require.Equal(t, "mp4a.40.5", a.CodecString())
		}},
		{name: "SBR of SBR", asc: ga(5, 6, 2).u(4, 3).u(5, 5).u(4, 3).u(5, 2).u(3, 0).data, want: ErrUnsupported},
		{name: "PS of a stereo core", asc: ga(29, 6, 2).u(4, 3).u(5, 2).u(3, 0).data, check: func(t *testing.T, a *AAC) {
			require.Equal(t, 2, a.Channels)
		}},

		{name: "object type 0", asc: ga(0, 3, 2).u(3, 0).data, want: ErrUnsupported},
		{name: "SSR", asc: ga(3, 3, 2).u(3, 0).data, want: ErrUnsupported},
		{name: "low delay", asc: ga(23, 3, 2).u(3, 0).data, want: ErrUnsupported},
		{name: "escaped object type: xHE-AAC", asc: (&bitWriter{}).u(5, 31).u(6, 42-32).u(4, 3).u(4, 2).u(32, 0).data, want: ErrUnsupported},
		{name: "escaped object type, cut short", asc: []byte{0xff}, want: ErrConfig},

		{name: "channel configuration 8", asc: ga(2, 3, 8).u(3, 0).data, want: ErrUnsupported},
		{name: "channel configuration 15", asc: ga(2, 3, 15).u(3, 0).data, want: ErrUnsupported},
		{name: "PCE of 1 channel", asc: pce(1, 0, 0, 0, 0, 0).data, check: channels(1)},
		{name: "PCE of 8 channels in one place", asc: pce(8, 0, 0, 0, 7, 15).data, check: channels(8)},
		{name: "PCE of 8 channels all around", asc: pce(3, 2, 2, 1, 1, 1).data, check: channels(8)},
		{name: "PCE of 9 channels", asc: pce(3, 2, 2, 2, 0, 0).data, want: ErrUnsupported},
		{name: "PCE of 48 channels", asc: pce(15, 15, 15, 3, 7, 15).data, want: ErrUnsupported},
		{name: "PCE of no channel", asc: pce(0, 0, 0, 0, 0, 0).data, want: ErrUnsupported},
		{name: "PCE missing", asc: []byte{0x11, 0x80}, want: ErrConfig},

		{name: "core coder delay and extension flag", asc: ga(2, 3, 2).u(1, 1).u(1, 1).u(14, 1234).u(1, 1).u(1, 0).data, check: func(t *testing.T, a *AAC) {
			require.Equal(t, 960, a.FrameSamples)
		}},
		{name: "core coder delay cut short", asc: ga(2, 3, 2).u(1, 0).u(1, 1).u(4, 0).data, want: ErrConfig},

		{name: "SBR behind cut short", asc: []byte{0x13, 0x10, 0x56, 0xe5}, check: func(t *testing.T, a *AAC) {
			require.Equal(t, "mp4a.40.2", a.CodecString())
			require.Equal(t, 24000, a.OutputSampleRate)
		}},
		{name: "SBR rate behind cut short", asc: ga(2, 6, 2).u(3, 0).u(11, 0x2b7).u(5, 5).u(1, 1).u(4, 15).u(8, 0).data, check: func(t *testing.T, a *AAC) {
			require.False(t, a.SBR)
			require.Equal(t, 24000, a.OutputSampleRate)
		}},
		{name: "SBR behind to a reserved rate", asc: ga(2, 6, 2).u(3, 0).u(11, 0x2b7).u(5, 5).u(1, 1).u(4, 13).data, want: ErrConfig},
		{name: "another sync word behind", asc: ga(2, 6, 2).u(3, 0).u(11, 0x2b6).u(5, 5).u(1, 1).u(4, 3).data, check: func(t *testing.T, a *AAC) {
			require.False(t, a.SBR)
		}},
		{name: "another object type behind", asc: ga(2, 6, 2).u(3, 0).u(11, 0x2b7).u(5, 22).u(1, 1).u(4, 3).u(8, 0).data, check: func(t *testing.T, a *AAC) {
			require.False(t, a.SBR)
		}},

		{name: "nothing", asc: nil, want: ErrConfig},
		{name: "as long as can be", asc: append([]byte{0x11, 0x90}, make([]byte, MaxAACConfigSize-2)...), check: channels(2)},
		{name: "oversized", asc: append([]byte{0x11, 0x90}, make([]byte, MaxAACConfigSize-1)...), want: ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			aac, err := ParseAACConfig(c.asc)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.Nil(t, aac)
			}
			if c.check != nil {
				c.check(t, aac)
			}
		})
	}
}

func channels(n int) func(t *testing.T, a *AAC) {
	return func(t *testing.T, a *AAC) {
		require.Equal(t, n, a.Channels)
		require.Equal(t, n, a.Config.ChannelLayout().Count())
	}
}

// TestParseAACConfigTruncated cuts each configuration at every length. What signals SBR and PS
// behind the core may be missing: the core decodes without.
func TestParseAACConfigTruncated(t *testing.T) {
	for _, c := range aacConfigs {
		asc := unhex(t, c.asc)
		needed := 2
		switch {
		case c.channelConfig == 0:
			needed = slices.Index(asc, 0x0d) + 1 + 0x0d // the PCE ends in a comment of 13 bytes
		case asc[0]>>3 == aotSBR || asc[0]>>3 == aotPS:
			needed = 4
		}
		for n := range asc {
			aac, err := ParseAACConfig(slices.Clip(asc[:n]))
			if n < needed {
				require.ErrorIs(t, err, ErrConfig, "%s, %d of %d bytes", c.name, n, len(asc))
				continue
			}
			require.NoError(t, err, "%s, %d of %d bytes", c.name, n, len(asc))
			require.Equal(t, c.want.SampleRate, aac.SampleRate)
			require.Equal(t, c.want.FrameSamples, aac.FrameSamples)
		}
	}
}

func TestFrameDuration(t *testing.T) {
	for _, c := range []struct {
		rate, samples int
		n             int64
		want          time.Duration
	}{
		{48000, 1024, 0, 0},
		{48000, 1024, 1, 21333333},
		{48000, 1024, 2, 42666667},
		{48000, 1024, 3, 64 * time.Millisecond},
		{48000, 1024, -2, -42666667},
		{44100, 1024, 441, 10240 * time.Millisecond},
		{48000, 960, 50, time.Second},
		{44100, 1024, 44100 * 1e6, 1024e6 * time.Second},
		{48000, 1024, math.MaxInt64, math.MaxInt64},
		{48000, 1024, -math.MaxInt64, -math.MaxInt64},
		{48000, 1024, math.MinInt64, math.MinInt64},
		{0, 1024, 5, 0},
		{48000, 0, 5, 0},
	} {
		a := &AAC{SampleRate: c.rate, FrameSamples: c.samples}
		require.Equal(t, c.want, a.FrameDuration(c.n), "%d frames of %d at %d Hz", c.n, c.samples, c.rate)
	}
	require.Zero(t, new(AAC).FrameDuration(1))
}

// TestFrameDurationExact compares with rational arithmetic.
func TestFrameDurationExact(t *testing.T) {
	for _, rate := range []int{7350, 11025, 37800, 44100, 48000, 96000} {
		a := &AAC{SampleRate: rate, FrameSamples: 1024}
		for _, n := range []int64{1, 7, 44099, 44101, 1e9 + 7, 3e10 + 1} {
			x := big.NewInt(n)
			x.Mul(x, big.NewInt(1024*2*1e9)).Add(x, big.NewInt(int64(rate))).Div(x, big.NewInt(int64(2*rate)))
			require.Equal(t, time.Duration(x.Int64()), a.FrameDuration(n), "%d frames at %d Hz", n, rate)
		}
	}
}

func FuzzAACConfig(f *testing.F) {
	for _, c := range aacConfigs {
		f.Add(unhex(f, c.asc))
	}
	f.Add(pce(15, 15, 15, 3, 7, 15).data)
	f.Add((&bitWriter{}).u(5, 31).u(6, 10).u(4, 15).u(24, 48000).u(4, 2).u(32, 0).data)
	f.Add(ga(29, 15, 1).u(24, 22050).u(4, 15).u(24, 44100).u(5, 2).u(3, 7).u(32, 0).data)
	f.Fuzz(func(t *testing.T, asc []byte) {
		input := slices.Clone(asc)
		aac, err := ParseAACConfig(asc)
		require.Equal(t, input, asc)
		if err != nil {
			require.True(t, errors.Is(err, ErrConfig) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnsupported), "%v", err)
			require.Nil(t, aac)
			return
		}
		clear(asc)
		require.Equal(t, input, aac.Config.MPEG4AudioConfigBytes())
		require.Contains(t, []int{1, 2, 4}, aac.ObjectType)
		require.Contains(t, []int{960, 1024}, aac.FrameSamples)
		require.True(t, aac.SampleRate >= minSampleRate && aac.SampleRate <= maxSampleRate)
		require.True(t, aac.OutputSampleRate >= minSampleRate && aac.OutputSampleRate <= maxSampleRate)
		require.True(t, aac.Channels >= 1 && aac.Channels <= maxChannels)
		require.Equal(t, aac.Channels, aac.Config.ChannelLayout().Count())
		require.Equal(t, aac.SampleRate, aac.Config.SampleRate())
		require.True(t, aac.SBR || !aac.PS)
		_, err = aac.Config.PacketDuration(nil)
		require.NoError(t, err)
		require.Contains(t, []string{"mp4a.40.1", "mp4a.40.2", "mp4a.40.4", "mp4a.40.5", "mp4a.40.29"}, aac.CodecString())
		require.Positive(t, aac.FrameDuration(1))
	})
}
