package push

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// budget is what is left of the memory for bodies.
type budget struct{ left atomic.Int64 }

func (b *budget) take(n int64) bool {
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

// body is what a request brings.
type body struct {
	data   []byte
	budget *budget
	cost   int64 // taken from budget
}

// release lets go of the bytes; it may be called again.
func (b *body) release() {
	b.budget.left.Add(b.cost)
	b.data, b.cost = nil, 0
}

// grow makes room for more, with the memory that the budget has.
// The announced size, -1 when there is none, counts only as far as bytes have come.
func (b *body) grow(announced, limit int64) error {
	had := int64(cap(b.data))
	size := max(firstRead, 2*had)
	if announced >= had {
		size = min(size, announced+1) // one more, to see the end
	}
	size = min(size, limit+1)
	if !b.budget.take(size - had) {
		return refuse(http.StatusServiceUnavailable, "the server is busy with other uploads: try again")
	}
	b.cost += size - had
	data := make([]byte, len(b.data), size)
	copy(data, b.data)
	b.data = data
	return nil
}

const firstRead = 256 << 10

// readBody reads the whole body of a request, which must make progress. ctx interrupts it.
// What it returns is to be released, with an error, too.
func (h *Handler) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) (*body, error) {
	b := &body{budget: &h.budget}
	limit := h.opts.MaxBody
	if r.ContentLength > limit {
		return b, tooLarge(limit)
	}
	rc := http.NewResponseController(w)
	stop := context.AfterFunc(ctx, func() { _ = rc.SetReadDeadline(time.Now()) })
	defer func() {
		// From here on the connection is only watched for the client's leaving.
		if stop() {
			_ = rc.SetReadDeadline(time.Time{})
		}
	}()
	begun := time.Now()
	for {
		if len(b.data) == cap(b.data) {
			if err := b.grow(r.ContentLength, limit); err != nil {
				return b, err
			}
		}
		now := time.Now()
		deadline := slices.MinFunc([]time.Time{
			now.Add(patience), begun.Add(h.opts.atSpeed(int64(len(b.data)))), begun.Add(h.opts.IdleEnd),
		}, time.Time.Compare)
		_ = rc.SetReadDeadline(deadline) // a server that cannot has its own limits
		if ctx.Err() != nil {
			return b, context.Cause(ctx)
		}
		n, err := r.Body.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case int64(len(b.data)) > limit:
			return b, tooLarge(limit)
		case err == io.EOF && len(b.data) == 0:
			return b, refuse(http.StatusBadRequest, "the segment is empty")
		case err == io.EOF:
			return b, nil
		case ctx.Err() != nil:
			return b, context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return b, because(err, http.StatusRequestTimeout, "the segment came too slowly")
		case err != nil:
			return b, because(err, http.StatusBadRequest, "the segment was cut off")
		}
	}
}

func tooLarge(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "the segment is larger than %d bytes: send shorter segments", limit)
}
