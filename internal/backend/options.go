package backend

import (
	"net"
	"net/http"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/admin"
	"github.com/livepeer/lpms/transcoder"
)

// Options of New. They are taken as checked: package settings does that.
type Options struct {
	Version            string
	RTMPAddr, HTTPAddr string // as lpms.Options has them
	// RTMPListener and HTTPListener, when set, are used in place of the addresses.
	RTMPListener, HTTPListener net.Listener

	// Auto derives the ladder from the source and adds Extra to it; otherwise Renditions
	// are what is made, none for the source alone.
	Auto              bool
	Renditions, Extra []ffmpeg.Rendition
	// OnDemand makes a rendition only while somebody watches it.
	OnDemand bool
	// Attempts is how often a segment may be tried; 0 is the source alone.
	Attempts int
	Local    transcoder.LocalOptions
	// Workers, when set, transcode in place of this process.
	Workers Workers

	// MaxStreams is how many may be live at the same time. Default 10.
	MaxStreams      int
	CurrentManifest bool // /stream/current.m3u8 is the newest stream
	HTTPIngest      bool
	WatchPage       bool
	Realtime        bool
	SegmentDuration time.Duration
	ReconnectWait   time.Duration
	// PublishKey, when set, is what publishers must give as the parameter key of their URL.
	PublishKey string
	// AuthWebhookURL, when set, is asked about every new stream.
	AuthWebhookURL string
	// TestSignals are the names of streams that are made here.
	TestSignals []string

	Metrics *admin.Metrics // or nil
	// Infof and Warnf are told what an operator wants to know. Default: nobody.
	Infof, Warnf func(format string, args ...any)
}

const (
	defaultStreams = 10
	// endedRetention is how long an ended stream is still served.
	endedRetention = time.Minute
)

func (o *Options) setDefaults() {
	if o.MaxStreams <= 0 {
		o.MaxStreams = defaultStreams
	}
	nobody := func(string, ...any) {}
	if o.Infof == nil {
		o.Infof = nobody
	}
	if o.Warnf == nil {
		o.Warnf = nobody
	}
}

// Workers are other machines that transcode.
type Workers interface {
	// Engine is for segments that are live, or pushed, which wait for those.
	Engine(pushed bool) transcoder.Engine
	// Busy is how much of what the workers have room for is in use, from 0 to 1; 0 when there are
	// none.
	Busy() float64
	// Parallel is that of transcoder.Options.
	Parallel() int
	// ServeHTTP gives workers segments, under cluster.SegmentPath.
	http.Handler
	// Attach is called once, before all else: local transcodes in this process, if workers want
	// that, and thumbnail takes a JPEG of a stream now and then.
	Attach(local transcoder.Engine, thumbnail func(stream string, jpeg []byte))
}

// SetLadder changes what is made, for streams whose ladder is planned from now on.
func (b *Backend) SetLadder(auto bool, renditions []ffmpeg.Rendition) {
	b.ladder.Store(&ladderOptions{auto, renditions})
}

// Ladder is what SetLadder has set, or Options.
func (b *Backend) Ladder() (auto bool, renditions []ffmpeg.Rendition) {
	l := b.ladder.Load()
	return l.auto, l.renditions
}

// SetMaxStreams changes how many streams may be live; those that are go on.
func (b *Backend) SetMaxStreams(n int) { b.maxStreams.Store(int64(n)) }

// MaxStreams is how many streams may be live.
func (b *Backend) MaxStreams() int { return int(b.maxStreams.Load()) }
