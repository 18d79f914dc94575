package watch

import (
	"bytes"
	"embed"
	"html/template"
)

//go:embed pages
var pageFiles embed.FS

// pages are the HTML documents.
type pages struct {
	assets        string // prefix of addresses
	template      *template.Template
	list, nothing *resource
}

// page is what the templates are filled with.
type page struct {
	Assets string
	Title  string
	Name   string // of the stream
	Embed  bool
}

func newPages(assets string) *pages {
	p := &pages{assets: assets, template: template.Must(template.ParseFS(pageFiles, "pages/*.html"))}
	p.list = p.render("list.html", page{Title: "Live streams"})
	p.nothing = p.render("nothing.html", page{Title: "Page not found"})
	return p
}

func (p *pages) watch(name string, embed bool) *resource {
	return p.render("watch.html", page{Title: name, Name: name, Embed: embed})
}

func (p *pages) render(file string, with page) *resource {
	with.Assets = p.assets
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, file, with); err != nil {
		panic(err) // the templates are ours and the tests fill each of them
	}
	return newText("text/html; charset=utf-8", b.Bytes())
}
