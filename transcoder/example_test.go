package transcoder_test

import (
	"context"
	"fmt"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

func ExampleNew() {
	engine := transcoder.NewLocal(transcoder.LocalOptions{}) // one for all streams of a process
	buf := stream.NewHLSBuffer()                             // which a segmenter fills
	t, err := transcoder.New(buf, transcoder.Options{
		Stream: "hello",
		Engine: engine,
		Renditions: []ffmpeg.Rendition{
			{Profile: ffmpeg.VideoProfile{Name: "small", Resolution: "426x240", Bitrate: "600k"}},
		},
		OnEvent: func(e transcoder.Event) { fmt.Println(e) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	buf.End() // without a segment
	fmt.Println(t.Run(context.Background()))
	// Output: <nil>
}
