package push

import (
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/livepeer/lpms/stream"
)

const missingHeader = "Missing-Renditions"

// answer sends the renditions of a segment when they are made. The error is for a client
// that is still there.
func (h *Handler) answer(w http.ResponseWriter, q *request, show Show, t taken) error {
	made, missing := h.await(q, show, t)
	switch {
	case q.http.Context().Err() != nil:
		return nil // nobody is there
	case len(made) == 0 && len(missing) > 0:
		w.Header().Set(missingHeader, strings.Join(missing, ", "))
		if q.ctx.Err() != nil {
			return context.Cause(q.ctx)
		}
		return refuse(http.StatusServiceUnavailable, "the segment was taken, but no rendition of it is made: send it again to wait for them")
	}
	var size int64
	for _, m := range made {
		size += int64(len(m.segment.Data))
	}
	h.allowAnswer(w, size)
	parts := multipart.NewWriter(w)
	head := w.Header()
	head.Set("Content-Type", "multipart/mixed; boundary="+parts.Boundary())
	head.Set("Cache-Control", "no-store")
	if len(missing) > 0 {
		head.Set(missingHeader, strings.Join(missing, ", "))
	}
	w.WriteHeader(http.StatusOK)
	for _, m := range made {
		part, err := parts.CreatePart(m.header(q.n))
		if err == nil {
			_, err = part.Write(m.segment.Data)
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the client must not take it for whole
		}
	}
	_ = parts.Close() // a client that has gone needs no end
	return nil
}

// rendition is one that was made of a segment.
type rendition struct {
	name    string
	segment *stream.Segment
}

// header is that of the rendition's part, where n is the publisher's number.
func (r rendition) header(n uint64) textproto.MIMEHeader {
	return textproto.MIMEHeader{
		"Content-Type":        {"video/mp2t"},
		"Content-Length":      {strconv.Itoa(len(r.segment.Data))},
		"Content-Disposition": {fmt.Sprintf("attachment; filename=%q", fmt.Sprintf("%s_%d.ts", r.name, n))},
		"Rendition-Name":      {r.name},
	}
}

// await waits for the renditions of a segment as long as they may come.
func (h *Handler) await(q *request, show Show, t taken) (made []rendition, missing []string) {
	ctx, cancel := context.WithTimeout(q.ctx, h.opts.resultWait(t.duration))
	defer cancel()
	defer context.AfterFunc(q.http.Context(), cancel)()
	buf := show.Buffer()
	for {
		version := buf.Version() // before looking, so that nothing is missed
		var pending []string
		made, missing, pending = look(buf, show.Renditions(), t.seq)
		if len(pending) == 0 {
			return made, missing
		}
		if _, err := buf.Wait(ctx, version); err != nil {
			return made, append(missing, pending...)
		}
	}
}

// look sorts renditions by whether their segment is there, will not come, or may come.
func look(buf *stream.HLSBuffer, names []string, seq uint64) (made []rendition, missing, pending []string) {
	states := make(map[string]stream.RenditionStats)
	for _, r := range buf.Stats().Renditions {
		states[r.Name] = r
	}
	source := buf.SegmentsAfter(stream.Source, 0)
	lost := len(source) == 0 || source[0].Seq > seq // no rendition of it can be appended
	for _, name := range names {
		seg, err := buf.Segment(name, seq)
		state, known := states[name]
		switch {
		case err == nil:
			made = append(made, rendition{name, seg})
		case lost, known && (state.Ended || state.Last > seq):
			missing = append(missing, name)
		default:
			pending = append(pending, name)
		}
	}
	return made, missing, pending
}

// allowAnswer gives the client time to read so many bytes.
func (h *Handler) allowAnswer(w http.ResponseWriter, size int64) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.opts.atSpeed(size))) // a server that cannot has its own limits
}
