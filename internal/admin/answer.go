package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/livepeer/lpms/internal/status"
)

// failure is a request that cannot be answered as asked, with what to do in the reason.
type failure struct {
	status int
	reason string
}

func (f *failure) Error() string { return f.reason }

// fail is the only place that turns errors into HTTP. An error without a status of its own
// is the caller's word on what was asked for.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusBadRequest
	var f *failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		code = f.status
	case errors.As(err, &tooLarge):
		code = http.StatusRequestEntityTooLarge
	}
	http.Error(w, err.Error(), code)
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = io.WriteString(w, text) // whoever does not take it has gone
	return nil
}

// writeJSON answers with v, indented. An error means that nothing was written.
func writeJSON(w http.ResponseWriter, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it is never shown as HTML: nosniff
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return &failure{http.StatusInternalServerError, "this cannot be said in JSON: " + err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
	return nil
}

// readable returns a copy for people and for JSON: numbers with three decimals, no NaN, and
// lists that are empty instead of null.
func readable(s status.Status) status.Status {
	s.Machine.CPU = rounded(s.Machine.CPU)
	s.Roles = append(make([]string, 0, len(s.Roles)), s.Roles...)
	s.Workers = slices.Clone(s.Workers)
	for i := range s.Workers {
		w := &s.Workers[i]
		w.Speed, w.Seen = rounded(w.Speed), rounded(w.Seen)
		w.Encoders = append(make([]string, 0, len(w.Encoders)), w.Encoders...)
	}
	s.Streams = append(make([]status.Stream, 0, len(s.Streams)), s.Streams...)
	for i := range s.Streams {
		st := &s.Streams[i]
		st.Uptime, st.Waiting, st.FrameRate = rounded(st.Uptime), rounded(st.Waiting), rounded(st.FrameRate)
		st.Renditions = append(make([]status.Rendition, 0, len(st.Renditions)), st.Renditions...)
		for j := range st.Renditions {
			r := &st.Renditions[j]
			r.FrameRate, r.Lag, r.Took, r.BehindMedia = rounded(r.FrameRate), rounded(r.Lag), rounded(r.Took), rounded(r.BehindMedia)
		}
	}
	return s
}

func rounded(v float64) float64 {
	if v = math.Round(v*1000) / 1000; math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
