package codec

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/nareix/joy4/av"
	"github.com/stretchr/testify/require"
)

// avcConfigs are the records that FFmpeg 5.1 with libx264 core 164 writes. Each comes from
//
//	ffmpeg -f lavfi -i testsrc=SOURCE -pix_fmt yuv420p -frames:v 4 -c:v libx264 OPTIONS -f flv x.flv
//	ffprobe -select_streams v -show_data -show_entries stream=extradata x.flv
//
// with what stands in the table (a pix_fmt in the options replaces the one above), and the
// figures were compared with what ffprobe says of the same file.
//
// FFmpeg sets libx264 for variable rate, so fixed_frame_rate_flag is 0 in most of them.
var avcConfigs = []struct {
	name, source, options string
	record                string
	want                  AVC // without Config
	codecs                string
}{
	{
		"baseline", "s=640x360:r=30", "-profile:v baseline",
		"0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20",
		AVC{Profile: 66, Constraints: 0xc0, Level: 30, Width: 640, Height: 360, SARWidth: 1, SARHeight: 1,
			FrameRate: 30, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 0},
		"avc1.42c01e",
	},
	{
		"zero latency", "s=640x360:r=30", "-preset ultrafast -tune zerolatency",
		"0142c01effe100196742c01eda0280bfe5c044000003000400000300f23c58ba8001000468ce0fc8",
		AVC{Profile: 66, Constraints: 0xc0, Level: 30, Width: 640, Height: 360, SARWidth: 1, SARHeight: 1,
			FrameRate: 30, FixedFrameRate: true, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 0},
		"avc1.42c01e",
	},
	{
		"main", "s=1280x720:r=25", "-profile:v main",
		"014d401fffe10019674d401feca02802dd80880000030008000003019078c18cb001000568ebe3cb20",
		AVC{Profile: 77, Constraints: 0x40, Level: 31, Width: 1280, Height: 720, SARWidth: 1, SARHeight: 1,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.4d401f",
	},
	{
		"high", "s=1920x1080:r=60", "-profile:v high",
		"0164002affe1001b6764002aacd940780227e5c044000003000400000301e03c60c65801000668ebe3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 42, Width: 1920, Height: 1080, SARWidth: 1, SARHeight: 1,
			FrameRate: 60, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.64002a",
	},
	{
		"high 10", "s=640x360:r=25", "-pix_fmt yuv420p10le -profile:v high10",
		"016e001effe1001b676e001ea6cd940a02ff97011000000300100000030320f162d96001000668ebe3cb22c0fdfafa00",
		AVC{Profile: 110, Level: 30, Width: 640, Height: 360, SARWidth: 1, SARHeight: 1,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 10, ChromaFormat: 1, MaxReorder: 2},
		"avc1.6e001e",
	},
	{
		"high 4:2:2", "s=640x360:r=25", "-pix_fmt yuv422p -profile:v high422",
		"017a001effe1001a677a001ebcd940a02ff89c0440000003004000000c83c58b658001000668ebe3cb22c0fef8f800",
		AVC{Profile: 122, Level: 30, Width: 640, Height: 360, SARWidth: 1, SARHeight: 1,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 2, MaxReorder: 2},
		"avc1.7a001e",
	},
	{
		"high 4:2:2 intra, 10 bit", "s=640x360:r=30", "-g 1 -pix_fmt yuv422p10le",
		"017a101effe10016677a101eb6cb81405ff1380880000003008000001e0201000568ee0f2c8bfefafa00",
		AVC{Profile: 122, Constraints: 0x10, Level: 30, Width: 640, Height: 360, SARWidth: 1, SARHeight: 1,
			FrameRate: 30, NALLengthSize: 4, BitDepth: 10, ChromaFormat: 2, MaxReorder: 0},
		"avc1.7a101e",
	},
	{
		"high 4:4:4, odd sides", "s=641x361:r=25", "-pix_fmt yuv444p -profile:v high444",
		"01f4001effe1001c67f4001e919b281485fc211180880000030008000003019078b16cb001000668ebe3c44844fff8f800",
		AVC{Profile: 244, Level: 30, Width: 641, Height: 361, SARWidth: 1, SARHeight: 1,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 3, MaxReorder: 2},
		"avc1.f4001e",
	},
	{
		"monochrome, odd sides", "s=321x243:r=25", "-pix_fmt gray",
		"0164000dffe1001b6764000df36505421e108ec05b20000003002000000641e28532c001000668ebe3cb22c0fcf8f800",
		AVC{Profile: 100, Level: 13, Width: 321, Height: 243, SARWidth: 1, SARHeight: 1,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 0, MaxReorder: 2},
		"avc1.64000d",
	},
	{
		"interlaced", "s=720x576:r=25", "-flags +ildct+ilme -x264-params tff=1",
		"0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb01000668fba3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 30, Width: 720, Height: 576, SARWidth: 1, SARHeight: 1, Interlaced: true,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.64001e",
	},
	{
		"interlaced 4:2:2, cropped", "s=1918x1078:r=25", "-pix_fmt yuv422p -flags +ildct+ilme -x264-params tff=1",
		"017a0028ffe1001b677a0028bcd94078044f536022000003000200000300643e2c5b2c01000668fba3cb22c0fef8f800",
		AVC{Profile: 122, Level: 40, Width: 1918, Height: 1078, SARWidth: 1, SARHeight: 1, Interlaced: true,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 2, MaxReorder: 2},
		"avc1.7a0028",
	},
	{
		"cropped 426x240", "s=426x240:r=30", "",
		"01640015ffe1001a67640015acd941b1fe4f0110000003001000000303c0f162d96001000668ebe3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 21, Width: 426, Height: 240, SARWidth: 1, SARHeight: 1,
			FrameRate: 30, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.640015",
	},
	{
		"cropped 1918x1078", "s=1918x1078:r=30", "",
		"01640028ffe1001b67640028acd940780227a9b0110000030001000003003c0f18319601000668ebe3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 40, Width: 1918, Height: 1078, SARWidth: 1, SARHeight: 1,
			FrameRate: 30, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.640028",
	},
	{
		"sample aspect from the table", "s=720x576:r=25", "-vf setsar=16/11",
		"0164001effe100196764001eacd940b4126c1040000003004000000c83c58b658001000668ebe3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 30, Width: 720, Height: 576, SARWidth: 16, SARHeight: 11,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.64001e",
	},
	{
		"sample aspect written out", "s=720x576:r=25", "-vf setsar=64/45",
		"0164001effe1001d6764001eacd940b4126ffc010000b440000003004000000c83c58b658001000668ebe3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 30, Width: 720, Height: 576, SARWidth: 64, SARHeight: 45,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.64001e",
	},
	{
		"30000/1001", "s=640x480:r=30000/1001", "",
		"0164001effe100186764001eacd940a03db01100000303e90000ea600f162d9601000668ebe3cb22c0fdf8f800",
		AVC{Profile: 100, Level: 30, Width: 640, Height: 480, SARWidth: 1, SARHeight: 1,
			FrameRate: 30000. / 1001, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.64001e",
	},
	{
		"scaling matrix in the PPS, HRD", "s=320x180:r=25", "-x264-params cqm=jvt:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500",
		"0164000dffe100246764000dacd941419f9f01100000030010000003032602001e840007a12930c01e28532c01000768ebe3cb3002c0fdf8f800",
		AVC{Profile: 100, Level: 13, Width: 320, Height: 180, SARWidth: 1, SARHeight: 1,
			FrameRate: 25, NALLengthSize: 4, BitDepth: 8, ChromaFormat: 1, MaxReorder: 2},
		"avc1.64000d",
	},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestParseAVCConfig(t *testing.T) {
	for _, c := range avcConfigs {
		t.Run(c.name, func(t *testing.T) {
			record := unhex(t, c.record)
			input := slices.Clone(record)
			avc, err := ParseAVCConfig(input)
			require.NoError(t, err)
			clear(input) // a copy was kept

			data := avc.Config
			require.Equal(t, av.H264, data.Type())
			require.Equal(t, c.want.Width, data.Width())
			require.Equal(t, c.want.Height, data.Height())
			require.Equal(t, record, data.AVCDecoderConfRecordBytes())
			require.Equal(t, byte(0x67), data.SPS()[0])
			require.Equal(t, byte(0x68), data.PPS()[0])
			info := data.RecordInfo
			require.Equal(t, record[1:4], []byte{info.AVCProfileIndication, info.ProfileCompatibility, info.AVCLevelIndication})
			marshalled := make([]byte, info.Len())
			require.Equal(t, len(marshalled), info.Marshal(marshalled))
			require.Equal(t, record[:len(marshalled)], marshalled)

			require.Equal(t, c.codecs, avc.CodecString())
			c.want.Config = data
			require.Equal(t, &c.want, avc)
		})
	}
}

func TestParseAVCConfigSPSInfo(t *testing.T) {
	avc, err := ParseAVCConfig(unhex(t, avcConfigs[12].record)) // 1918x1078
	require.NoError(t, err)
	info := avc.Config.SPSInfo
	require.EqualValues(t, 100, info.ProfileIdc)
	require.EqualValues(t, 40, info.LevelIdc)
	require.EqualValues(t, 120, info.MbWidth)
	require.EqualValues(t, 68, info.MbHeight)
	require.EqualValues(t, []uint{0, 1, 0, 5}, []uint{info.CropLeft, info.CropRight, info.CropTop, info.CropBottom})
}

// TestParseAVCConfigTruncated cuts each record at every length. Only the four bytes that the
// High profiles add at its end may be missing.
func TestParseAVCConfigTruncated(t *testing.T) {
	for _, c := range avcConfigs {
		record := unhex(t, c.record)
		avc, err := ParseAVCConfig(record)
		require.NoError(t, err)
		needed := avc.Config.RecordInfo.Len()
		for n := range record {
			_, err := ParseAVCConfig(slices.Clip(record[:n]))
			if n < needed {
				require.ErrorIs(t, err, ErrConfig, "%s, %d of %d bytes", c.name, n, len(record))
			} else {
				require.NoError(t, err, "%s, %d of %d bytes", c.name, n, len(record))
			}
		}
	}
}

// avcRecord makes a record of parameter sets.
func avcRecord(lengthSize int, spss, ppss [][]byte) []byte {
	b := []byte{1, 66, 0, 30, 0xfc | byte(lengthSize-1), 0xe0 | byte(len(spss))}
	for _, s := range spss {
		b = append(b, byte(len(s)>>8), byte(len(s)))
		b = append(b, s...)
	}
	b = append(b, byte(len(ppss)))
	for _, s := range ppss {
		b = append(b, byte(len(s)>>8), byte(len(s)))
		b = append(b, s...)
	}
	return b
}

var somePPS = []byte{0x68, 0xce, 0x0f, 0xc8}

func TestParseAVCConfigMalformed(t *testing.T) {
	sps := [][]byte{spsFields{}.nal()}
	pps := [][]byte{somePPS}
	good := avcRecord(4, sps, pps)
	_, err := ParseAVCConfig(good)
	require.NoError(t, err)

	for _, c := range []struct {
		name   string
		record []byte
		want   error
	}{
		{"nothing", nil, ErrConfig},
		{"version 0", append([]byte{0}, good[1:]...), ErrUnsupported},
		{"Annex B", append([]byte{0, 0, 0, 1}, sps[0]...), ErrUnsupported},
		{"zero SPS", avcRecord(4, nil, pps), ErrConfig},
		{"zero PPS", avcRecord(4, sps, nil), ErrConfig},
		{"empty SPS", avcRecord(4, [][]byte{{}}, pps), ErrConfig},
		{"empty PPS", avcRecord(4, sps, [][]byte{{}}), ErrConfig},
		{"SPS of its header only", avcRecord(4, [][]byte{{0x67}}, pps), ErrConfig},
		{"PPS of its header only", avcRecord(4, sps, [][]byte{{0x68}}), ErrConfig},
		{"PPS in place of the SPS", avcRecord(4, pps, pps), ErrConfig},
		{"SPS in place of the PPS", avcRecord(4, sps, sps), ErrConfig},
		{"NAL lengths of 3 bytes", avcRecord(3, sps, pps), ErrConfig},
		{"second SPS too large", avcRecord(4, [][]byte{sps[0], spsFields{mbWidth: 513}.nal()}, pps), ErrTooLarge},
		{"oversized", append(slices.Clone(good), make([]byte, MaxAVCConfigSize)...), ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			avc, err := ParseAVCConfig(c.record)
			require.ErrorIs(t, err, c.want)
			require.Nil(t, avc)
		})
	}
}

func TestParseAVCConfigNALLengthSize(t *testing.T) {
	for _, size := range []int{1, 2, 4} {
		avc, err := ParseAVCConfig(avcRecord(size, [][]byte{spsFields{}.nal()}, [][]byte{somePPS, somePPS}))
		require.NoError(t, err)
		require.Equal(t, size, avc.NALLengthSize)
		require.Len(t, avc.Config.RecordInfo.PPS, 2)
	}
}

// TestParseAVCConfigLargest: as many bytes as are taken, all of them parameter sets.
func TestParseAVCConfigLargest(t *testing.T) {
	pps := append(slices.Clone(somePPS), make([]byte, 65000)...)
	record := avcRecord(4, [][]byte{spsFields{}.nal()}, [][]byte{pps})
	record = append(record, make([]byte, MaxAVCConfigSize-len(record))...)
	_, err := ParseAVCConfig(record)
	require.NoError(t, err)
}

func FuzzAVCConfig(f *testing.F) {
	for _, c := range avcConfigs {
		f.Add(unhex(f, c.record))
	}
	for _, c := range spsCases {
		f.Add(avcRecord(4, [][]byte{c.fields.nal()}, [][]byte{somePPS}))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		input := slices.Clone(record)
		avc, err := ParseAVCConfig(record)
		require.Equal(t, input, record)
		if err != nil {
			require.True(t, errors.Is(err, ErrConfig) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnsupported), "%v", err)
			require.Nil(t, avc)
			return
		}
		clear(record)
		data := avc.Config
		require.Equal(t, input, data.AVCDecoderConfRecordBytes())
		require.NotEmpty(t, data.SPS())
		require.NotEmpty(t, data.PPS())
		require.Equal(t, avc.Width, data.Width())
		require.Equal(t, avc.Height, data.Height())
		require.True(t, avc.Width >= 1 && avc.Width <= MaxDimension)
		require.True(t, avc.Height >= 1 && avc.Height <= MaxDimension)
		require.LessOrEqual(t, avc.Width*avc.Height, MaxPixels)
		require.True(t, avc.SARWidth >= 1 && avc.SARWidth <= 65535)
		require.True(t, avc.SARHeight >= 1 && avc.SARHeight <= 65535)
		require.True(t, avc.FrameRate == 0 || avc.FrameRate >= minFrameRate && avc.FrameRate <= maxFrameRate)
		require.Contains(t, []int{1, 2, 4}, avc.NALLengthSize)
		require.True(t, avc.BitDepth >= 8 && avc.BitDepth <= 14)
		require.True(t, avc.ChromaFormat >= 0 && avc.ChromaFormat <= 3)
		require.True(t, avc.MaxReorder >= -1 && avc.MaxReorder <= 16)
		require.Len(t, avc.CodecString(), len("avc1.64001f"))
		marshalled := make([]byte, data.RecordInfo.Len())
		data.RecordInfo.Marshal(marshalled)
		again, err := ParseAVCConfig(marshalled)
		require.NoError(t, err)
		require.Equal(t, avc.Config.SPSInfo, again.Config.SPSInfo)
	})
}

func BenchmarkParseAVCConfig(b *testing.B) {
	record := unhex(b, avcConfigs[3].record)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAVCConfig(record); err != nil {
			b.Fatal(err)
		}
	}
}
