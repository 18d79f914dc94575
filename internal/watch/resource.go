package watch

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// resource is a body that is shared by all who ask for it.
type resource struct {
	body        []byte
	contentType string
	tag         string // without quotes
	modified    time.Time
	gzipped     func() []byte // nil for what does not get smaller
}

// newText makes a resource of something that is worth compressing, which its first reader
// does.
func newText(contentType string, body []byte) *resource {
	return &resource{
		body: body, contentType: contentType, tag: hashOf(body),
		gzipped: sync.OnceValue(func() []byte { return compress(body) }),
	}
}

func newPicture(jpeg []byte, at time.Time) *resource {
	tag := strconv.FormatInt(at.UnixNano(), 36) + "." + strconv.Itoa(len(jpeg))
	return &resource{body: jpeg, contentType: "image/jpeg", tag: tag, modified: at}
}

// serve answers with the resource, or 304 to who has it.
func (s *resource) serve(w http.ResponseWriter, r *http.Request) {
	head, body, tag := w.Header(), s.body, s.tag
	if s.gzipped != nil {
		head.Set("Vary", "Accept-Encoding")
		if r.Header.Get("Range") == "" && acceptsGzip(r) {
			head.Set("Content-Encoding", "gzip")
			body, tag = s.gzipped(), tag+"-gzip"
		}
	}
	head.Set("Content-Type", s.contentType)
	head.Set("Etag", `"`+tag+`"`)
	http.ServeContent(w, r, "", s.modified, bytes.NewReader(body))
}

// serveAs answers with another status than 200.
func (s *resource) serveAs(w http.ResponseWriter, r *http.Request, code int) {
	w.Header().Set("Content-Type", s.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(s.body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(s.body)
	}
}

// hashOf is short enough for an address.
func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out) // a bytes.Buffer takes everything
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}
