package push_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/push"
	"github.com/livepeer/lpms/stream"
)

// show is a presentation without renditions that ends with its publisher.
type show struct{ buf *stream.HLSBuffer }

func (s show) Buffer() *stream.HLSBuffer { return s.buf }
func (s show) Renditions() []string      { return nil }
func (s show) Changed(*ffmpeg.Info)      {}
func (s show) Close(bool)                { s.buf.End() }

func ExampleNew() {
	h := push.New(push.Options{
		Open: func(_ context.Context, r push.Request) (push.Show, error) {
			return show{stream.NewHLSBuffer()}, nil
		},
	})
	defer h.Close()
	mux := http.NewServeMux()
	mux.Handle("/live/", h)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("PUT", "/live/camera/0.ts", strings.NewReader("no media")))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 422 the body is neither MPEG-TS nor MP4
}
