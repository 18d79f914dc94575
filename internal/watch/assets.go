package watch

import (
	"bytes"
	"embed"
	"path"
	"sync"
)

//go:embed assets
var assetFiles embed.FS

// assets are scripts, styles and the icon. All stand below one hash of them all, so that
// modules import each other by their plain names and no answer ever changes.
type assets struct {
	hash   string
	prefix string // of their addresses
	files  map[string]*resource
}

// loadAssets reads what is embedded, once in a process.
var loadAssets = sync.OnceValue(func() *assets {
	a := &assets{files: make(map[string]*resource)}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // the compiler has put them there
	}
	var hashes []byte
	for _, e := range entries { // sorted
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		r := newText(contentTypes[path.Ext(e.Name())], withoutSourceMap(body))
		a.files[e.Name()] = r
		hashes = append(hashes, e.Name()+r.tag...)
	}
	a.hash = hashOf(hashes)
	a.prefix = "/assets/" + a.hash
	return a
})

// contentTypes are never from the table of the host.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// withoutSourceMap leaves out the last line of hls.js, which names a file of 2 MB that is
// not here: the tools of a browser would say so.
func withoutSourceMap(body []byte) []byte {
	before, _, _ := bytes.Cut(body, []byte("\n//# sourceMappingURL="))
	return before
}
