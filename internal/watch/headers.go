package watch

import (
	"net/http"
	"strings"
)

// policy allows our own files, the blobs that hls.js makes of segments and of its worker, and
// nothing that stands inside a page.
const policy = "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data:; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'"

// protect sets the headers that every answer has.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY") // frame-ancestors for old browsers
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
}

// allowFrames lets any site show the answer in a frame.
func allowFrames(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Del("X-Frame-Options")
}

// plainError answers where no person reads the page.
func plainError(w http.ResponseWriter, code int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(code), code)
}

// acceptsGzip reads a header Accept-Encoding (RFC 9110, section 12.5.3). Of weights it knows
// that 0 refuses.
func acceptsGzip(r *http.Request) bool {
	for item := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, params, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		_, weight, found := strings.Cut(params, "=")
		return !found || strings.Trim(weight, " 0.") != ""
	}
	return false
}
