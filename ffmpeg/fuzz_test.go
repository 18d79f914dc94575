package ffmpeg

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// known reports whether an error is one that the package's documentation names.
func known(err error) bool {
	var e *Error
	for _, want := range []error{ErrTooLarge, ErrTimestamp, ErrFormat, ErrTrack} {
		if errors.Is(err, want) {
			return true
		}
	}
	return errors.As(err, &e) && e.Code < 0 && e.Op != ""
}

// Whatever a publisher sends as configuration and data, the muxer answers with whole
// TS packets or a known error, and takes good packets afterwards.
func FuzzMuxPacket(f *testing.F) {
	m := recorded(f)
	good, asc := m.tracks[0].Video.Extradata, m.tracks[1].Audio.Extradata
	f.Add(good, asc, m.of(0)[0].Data, int64(0), int64(0))
	f.Add(good, asc, m.of(1)[0].Data, int64(-1), int64(1<<62))
	f.Add([]byte{1, 66, 0, 10, 0xfc, 0, 0}, []byte{0x12, 0x10}, []byte{1, 9, 1, 0x65, 1, 0x68}, int64(5), int64(5))
	f.Add([]byte{1, 66, 0, 10, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68}, []byte{0x10, 0x07, 0xff}, []byte{0, 0, 0, 2, 0x68, 1, 0, 0, 0, 2, 0x65, 0x80}, int64(7), int64(1e18))
	f.Fuzz(func(t *testing.T, avcc, config, data []byte, dts, pts int64) {
		before := LiveHandles()
		mux, err := NewMuxer(FormatMPEGTS, Track{Video: &VideoTrack{Extradata: avcc}}, Track{Audio: &AudioTrack{Extradata: config}})
		if err != nil {
			require.True(t, known(err), err)
			require.Equal(t, before, LiveHandles())
			return
		}
		defer mux.Close()
		for track := range 2 {
			err := mux.WritePacket(track, Packet{DTS: time.Duration(dts), PTS: time.Duration(pts), Key: true, Data: data})
			require.True(t, err == nil || known(err), err)
			b, err := mux.Cut()
			require.NoError(t, err)
			readTS(t, b)
		}
		later := time.Duration(dts) + time.Second
		if later < time.Duration(dts) {
			return
		}
		require.NoError(t, mux.WritePacket(0, Packet{DTS: later, PTS: later, Key: true, Data: nalUnits(avcc, []byte{0x65, 0x88, 1})}))
		b, err := mux.Cut()
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(readTS(t, b)), 3)
	})
}

// nalUnits writes NAL units with the length field of a configuration record.
func nalUnits(avcc []byte, units ...[]byte) []byte {
	var b []byte
	for _, u := range units {
		for i := int(avcc[4] & 3); i >= 0; i-- {
			b = append(b, byte(len(u)>>(8*i)))
		}
		b = append(b, u...)
	}
	return b
}

func FuzzProbe(f *testing.F) {
	m := recorded(f)
	f.Add(m.segments(f)[0][:188*40])
	f.Add(zeroFrame(f)[:188*10])
	for name, args := range map[string]string{
		"a.flv": testVideo + testAudio + "-t 0.2 " + x264 + aac,
		"a.mp4": testVideo + testAudio + "-t 0.2 " + x264 + aac,
		"b.mp4": testVideo + testAudio + "-t 0.2 " + x264 + aac + "-movflags +frag_keyframe+empty_moov",
		"c.mp4": testVideo + "-t 0.2 -c:v libvpx-vp9 -deadline realtime -pix_fmt yuv420p",
	} {
		f.Add(generate(f, name, args))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		status, _, err := GetCodecInfoBytes(data)
		require.Equal(t, err != nil, status == CodecStatusInternalError)
		if err != nil {
			require.True(t, known(err), err)
		}
	})
}
