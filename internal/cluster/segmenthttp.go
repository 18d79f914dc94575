package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// SegmentPath is the path under which ServeHTTP has segments.
const SegmentPath = "/segments/"

// ServeHTTP gives a worker the segment of a job, for OriginOptions.SegmentURL. Its address is that
// of one job, which nobody can guess, and is good as long as somebody waits for that job. Everything
// else is 404.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, SegmentPath)
	var a *attempt
	if o.opts.SegmentURL != "" && ValidID(id) {
		a = o.find(id)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case a == nil:
		http.Error(w, "there is no such job", http.StatusNotFound)
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		http.Error(w, "segments are fetched with GET", http.StatusMethodNotAllowed)
	default:
		h.Set("Content-Type", "application/octet-stream")
		size := 0
		for _, b := range a.fetched() {
			size += len(b)
		}
		h.Set("Content-Length", strconv.Itoa(size))
		for _, b := range a.fetched() {
			if _, err := w.Write(b); err != nil {
				return // the worker has gone
			}
		}
	}
}

// download fetches the segment of a job by HTTP, with the part of the segment before in front.
func (w *Worker) download(ctx context.Context, j *job) ([]byte, error) {
	if !strings.HasPrefix(j.URL, "http://") && !strings.HasPrefix(j.URL, "https://") {
		return nil, fmt.Errorf("%w: the address of a segment", ErrMessage)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: the address of a segment", ErrMessage)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	size := j.Before + j.Size
	if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(size) {
		return nil, fmt.Errorf("%s answers %s with %d bytes, the segment has %d", req.URL.Host, resp.Status, resp.ContentLength, size)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(resp.Body, body)
	return body, err
}
