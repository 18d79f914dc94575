package watch

import (
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
)

// feedAge is how long a rendered feed is given out.
const feedAge = time.Second / 4

// feed renders /streams.json for all who ask within feedAge.
type feed struct {
	opts Options

	mu       sync.Mutex // held while rendering
	rendered time.Time
	last     *resource
}

// newest returns the feed as it is, or was shortly before.
func (f *feed) newest() *resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil || time.Since(f.rendered) >= feedAge {
		f.last = newText("application/json", f.render())
		f.rendered = time.Now()
	}
	return f.last
}

func (f *feed) render() []byte {
	b, err := json.Marshal(f.public(f.opts.Status()))
	if err != nil {
		return []byte("{}") // a date beyond the year 9999
	}
	return append(b, '\n')
}

// publicFeed is what anybody may know. Fields are named one by one, so that nothing new in
// the status gets out by itself.
type publicFeed struct {
	Version   string         `json:"version"`
	Now       time.Time      `json:"now"`
	RTMPPort  int            `json:"rtmpPort"`  // 0: off
	KeyNeeded bool           `json:"keyNeeded"` // by publishers
	Streams   []publicStream `json:"streams"`
}

type publicStream struct {
	Name       string            `json:"name"`
	Ingest     status.Ingest     `json:"ingest"`
	Live       bool              `json:"live"`
	Since      time.Time         `json:"since"`
	Uptime     float64           `json:"uptime"`
	Viewers    status.Viewers    `json:"viewers"`
	Bitrate    uint64            `json:"bitrate"`
	Width      int               `json:"width"`
	Height     int               `json:"height"`
	FrameRate  float64           `json:"frameRate"`
	Codecs     string            `json:"codecs"`
	Thumbnail  int64             `json:"thumbnail"` // when it was taken, Unix time in ms; 0: there is none
	Renditions []publicRendition `json:"renditions"`
}

type publicRendition struct {
	Name             string       `json:"name"`
	State            status.State `json:"state"`
	Width            int          `json:"width"`
	Height           int          `json:"height"`
	FrameRate        float64      `json:"frameRate"`
	Bandwidth        uint64       `json:"bandwidth"`
	AverageBandwidth uint64       `json:"averageBandwidth"`
}

func (f *feed) public(s status.Status) publicFeed {
	out := publicFeed{Version: s.Version, Now: s.Now, RTMPPort: f.opts.RTMPPort, KeyNeeded: f.opts.PublishKey, Streams: []publicStream{}}
	for _, st := range s.Streams {
		if !stream.ValidName(st.Name) {
			continue
		}
		p := publicStream{
			Name: st.Name, Ingest: st.Ingest, Live: st.Live, Since: st.Since, Uptime: finite(st.Uptime),
			Viewers: st.Viewers, Bitrate: st.Bitrate, Width: st.Width, Height: st.Height,
			FrameRate: finite(st.FrameRate), Codecs: st.Codecs, Renditions: []publicRendition{},
		}
		if _, at, ok := f.opts.Thumbnail(st.Name); ok {
			p.Thumbnail = at.UnixMilli()
		}
		for _, r := range st.Renditions {
			p.Renditions = append(p.Renditions, publicRendition{
				r.Name, r.State, r.Width, r.Height, finite(r.FrameRate), r.Bandwidth, r.AverageBandwidth,
			})
		}
		out.Streams = append(out.Streams, p)
	}
	return out
}

// finite makes what JSON cannot say 0, which means not known.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
