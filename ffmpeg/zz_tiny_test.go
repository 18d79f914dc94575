package ffmpeg

import (
	"testing"
)

func TestTinyPath(t *testing.T) {
	in := madeFile(t, "-f lavfi -i color=black:size=32x32:rate=5 -t 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p", "in.ts")
	for _, fps := range []uint{1, 2, 5} {
		out := t.TempDir() + "/o.ts"
		_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{outputTo(atRate(smallOutput, fps, 1), out)})
		if err != nil {
			t.Fatal(err)
		}
		b := readPath(t, out)
		d, err := openDemuxer(Input{Path: out})
		t.Log(fps, len(b)/188, "packets, as a path:", err)
		if err == nil {
			d.close()
		}
		d, err = openDemuxer(Input{Data: b})
		t.Log("as data:", err)
		if err == nil {
			d.close()
		}
	}
}
