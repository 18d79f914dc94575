package ffmpeg

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADTS(t *testing.T) {
	for name, c := range map[string]struct {
		asc  []byte
		want adtsConfig
		ok   bool
	}{
		"LC 44.1 stereo":     {[]byte{0x12, 0x10}, adtsConfig{2, 4, 2}, true},
		"LC 48 5.1":          {[]byte{0x11, 0xb0}, adtsConfig{2, 3, 6}, true},
		"HE of 24 kHz":       {[]byte{0x2b, 0x11, 0x88, 0x00}, adtsConfig{2, 6, 2}, true},
		"Main 8 mono":        {[]byte{0x0d, 0x88}, adtsConfig{1, 11, 1}, true},
		"960 samples":        {[]byte{0x12, 0x14}, adtsConfig{}, false},
		"a program config":   {[]byte{0x12, 0x00, 0x05, 0x88}, adtsConfig{}, false},
		"a rate of its own":  {[]byte{0x17, 0x80, 0x56, 0x22, 0x10}, adtsConfig{}, false},
		"ER LD":              {[]byte{0xba, 0x10, 0x00}, adtsConfig{}, false},
		"nothing":            {nil, adtsConfig{}, false},
		"one byte":           {[]byte{0x12}, adtsConfig{}, false},
		"half of HE":         {[]byte{0x2b, 0x11}, adtsConfig{}, false},
		"reserved rate (13)": {[]byte{0x16, 0x90}, adtsConfig{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, ok := adtsFromASC(c.asc)
			require.Equal(t, c.ok, ok)
			if !ok {
				return
			}
			require.Equal(t, c.want, a)
			frame := bytes.Repeat([]byte{0x21}, 300)
			b := a.appendFrame(nil, frame)
			read, header, size, ok := readADTS(append(b, 1, 2, 3))
			require.True(t, ok)
			require.Equal(t, []any{a, 7, 307}, []any{read, header, size})
			back, ok := adtsFromASC(read.asc())
			require.True(t, ok)
			require.Equal(t, a, back)
			_, _, _, ok = readADTS(b[:len(b)-1])
			require.False(t, ok, "a frame that is cut short")
		})
	}
}

// Frames travel in groups, which end where the sound does not go on or something waits.
func TestADTSGroups(t *testing.T) {
	r := takeApart(t, source(t, "avc+aac.ts"))
	frame := r.of(1)[0].data
	const step = clockRate * 1024 / 44100
	type at struct {
		time clock
		size int // of all frames in the packet
	}
	write := func(t *testing.T, only bool, size, n int, change func(i int, u *unit)) (got []at) {
		tracks, track := r.tracks, 1
		if only {
			tracks, track = r.tracks[1:], 0
		}
		c, err := newContainer(tracks, containerOptions{})
		require.NoError(t, err)
		defer c.close()
		a, _, _, ok := readADTS(frame)
		require.True(t, ok)
		for i := range n {
			u := unit{track: track, dts: clock(i) * step, duration: step, data: a.appendFrame(nil, make([]byte, size-adtsHeaderSize))}
			u.pts = u.dts
			if change != nil {
				change(i, &u)
			}
			require.NoError(t, c.write(u))
		}
		require.NoError(t, c.finish())
		for _, p := range readPES(t, readTS(t, c.take())) {
			if p.pid == 0x100+track {
				got = append(got, at{clock(p.pts) * (clockRate / 90000), len(p.data)})
			}
		}
		return got
	}
	sizes := func(got []at) (sizes []int) {
		for _, g := range got {
			sizes = append(sizes, g.size)
		}
		return sizes
	}
	require.Equal(t, []int{1600, 1600, 800}, sizes(write(t, false, 200, 20, nil)), "eight at a time")
	require.Equal(t, []int{1000, 1000, 500}, sizes(write(t, false, 25, 100, nil)), "tiny ones by bytes")
	require.Equal(t, []int{10 * 44, 10 * 6}, sizes(write(t, false, 10, 50, nil)), "or for a second")
	require.Equal(t, []int{160, 160, 80}, sizes(write(t, true, 20, 20, nil)), "without video, by time")
	require.Equal(t, []int{600, 1000}, sizes(write(t, false, 200, 8, func(i int, u *unit) {
		if i >= 3 {
			u.dts += step
			u.pts = u.dts
		}
	})), "up to a gap")
	require.Equal(t, []int{1600}, sizes(write(t, false, 200, 8, func(i int, u *unit) {
		u.dts = (u.dts / (clockRate / 1000)) * (clockRate / 1000) // as FLV has it
		u.pts = u.dts
	})))
	require.Equal(t, []int{32000, 24000}, sizes(write(t, false, 8000, 7, nil)), "or as much as a packet holds")
	got := write(t, false, 200, 20, nil)
	for i, g := range got {
		require.InDelta(t, float64(clock(8*i)*step), float64(g.time), float64(clockRate/90000))
	}

	t.Run("video does not wait", func(t *testing.T) {
		c, err := newContainer(r.tracks, containerOptions{})
		require.NoError(t, err)
		defer c.close()
		require.NoError(t, c.write(unit{track: 1, duration: step, data: frame}))
		picture := r.units[0]
		picture.dts, picture.pts = clockRate/2, clockRate/2
		require.NoError(t, c.write(picture))
		require.Len(t, readPES(t, readTS(t, c.take())), 1)
		picture.dts, picture.pts = clockRate+1, clockRate+1
		require.NoError(t, c.write(picture))
		require.Len(t, readPES(t, readTS(t, c.take())), 2, "the sound is late, and comes first")
	})
	t.Run("what ADTS cannot say is libavformat's", func(t *testing.T) {
		r := takeApart(t, generate(t, "a.mp4", "-f lavfi -i sine=sample_rate=48000 -t 1 -c:a aac -af aformat=channel_layouts=quad"))
		_, ok := adtsFromASC(r.tracks[0].extradata())
		require.False(t, ok)
		b := r.mustWrite(t, containerOptions{})
		require.Len(t, readPES(t, readTS(t, b)), len(r.units))
	})
	t.Run("several frames of a unit are samples of an MP4", func(t *testing.T) {
		two := recording{tracks: r.tracks[1:]}
		units := r.only(1).units
		for i := 0; i+1 < len(units); i += 2 {
			u := units[i]
			u.data = append(bytes.Clone(u.data), units[i+1].data...)
			u.duration += units[i+1].duration
			two.units = append(two.units, u)
		}
		b := two.mustWrite(t, containerOptions{format: FormatMP4})
		requireSame(t, recording{tracks: two.tracks, units: units[:len(two.units)*2]}, readFile(t, b), 0)
	})
}
