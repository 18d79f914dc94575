package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// tsPacket is one packet of a transport stream, as ISO/IEC 13818-1 2.4.3 lays it out.
type tsPacket struct {
	pid     int
	start   bool // payload_unit_start_indicator
	cc      int
	random  bool  // random_access_indicator
	pcr     int64 // 90 kHz, or -1
	payload []byte
}

func readTS(t testing.TB, b []byte) []tsPacket {
	t.Helper()
	require.Zero(t, len(b)%188)
	var ps []tsPacket
	for ; len(b) > 0; b = b[188:] {
		require.EqualValues(t, 0x47, b[0])
		p := tsPacket{
			pid:   int(b[1]&0x1f)<<8 | int(b[2]),
			start: b[1]&0x40 != 0,
			cc:    int(b[3] & 0x0f),
			pcr:   -1,
		}
		body := b[4:188]
		if b[3]&0x20 != 0 {
			af := body[1 : 1+body[0]]
			body = body[1+body[0]:]
			if len(af) > 0 {
				p.random = af[0]&0x40 != 0
				if af[0]&0x10 != 0 {
					p.pcr = int64(af[1])<<25 | int64(af[2])<<17 | int64(af[3])<<9 | int64(af[4])<<1 | int64(af[5])>>7
					require.Zero(t, int(af[5]&1)<<8|int(af[6]), "PCR extension")
				}
			}
		}
		require.NotZero(t, b[3]&0x10, "packets without payload are not expected")
		p.payload = body
		ps = append(ps, p)
	}
	return ps
}

// pes is one packetized elementary stream packet.
type pes struct {
	pid      int
	pts, dts int64 // 33 bits
	pcr      int64 // of its first TS packet, or -1
	random   bool
	data     []byte
}

func readPES(t testing.TB, ts []tsPacket) []pes {
	t.Helper()
	var all []pes
	open := map[int]int{}
	for _, p := range ts {
		if p.pid < 0x100 || p.pid >= 0x1000 {
			continue
		}
		if p.start {
			h := p.payload
			require.Equal(t, []byte{0, 0, 1}, h[:3])
			u := pes{pid: p.pid, pcr: p.pcr, random: p.random, data: append([]byte(nil), h[9+int(h[8]):]...)}
			require.NotZero(t, h[7]&0x80, "PTS")
			u.pts = clock33(h[9:])
			u.dts = u.pts
			if h[7]&0x40 != 0 {
				u.dts = clock33(h[14:])
			}
			open[p.pid] = len(all)
			all = append(all, u)
			continue
		}
		i, ok := open[p.pid]
		require.True(t, ok)
		all[i].data = append(all[i].data, p.payload...)
	}
	return all
}

func clock33(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// nalTypes lists the types of the NAL units of Annex B data.
func nalTypes(b []byte) []int {
	var types []int
	for i := 0; i+3 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 {
			types = append(types, int(b[i+3]&0x1f))
		}
	}
	return types
}

// checkSegments checks what must hold for every run of segments of one muxer: PAT and
// PMT first, continuity counters that go on, a random access point with PCR first.
func checkSegments(t testing.TB, segments [][]byte) {
	t.Helper()
	last := map[int]int{}
	for i, s := range segments {
		ps := readTS(t, s)
		require.Greater(t, len(ps), 2)
		require.Equal(t, 0, ps[0].pid, "segment %d starts with the PAT", i)
		require.Equal(t, 0x1000, ps[1].pid, "then the PMT")
		require.True(t, ps[2].start && ps[2].random && ps[2].pcr >= 0, "then a random access point with PCR")
		for _, p := range ps {
			if cc, seen := last[p.pid]; seen {
				require.Equal(t, (cc+1)&15, p.cc, "continuity counter of PID %d in segment %d", p.pid, i)
			}
			last[p.pid] = p.cc
			require.NotEqual(t, 0x11, p.pid, "no SDT")
		}
		for j, u := range readPES(t, ps) {
			if j == 0 || u.pcr >= 0 {
				require.Equal(t, u.dts, u.pcr, "the PCR is the DTS")
			}
		}
	}
}
