package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"github.com/livepeer/lpms/ffmpeg"
)

// ErrMessage is a message that is not what it should be.
var ErrMessage = errors.New("cluster: malformed message")

// Messages are JSON. Where media comes with it, that is the body, and the JSON is in a header: so
// media is handed over as it is, without a copy.

// encode makes the JSON of a message.
func encode(head any) ([]byte, error) {
	h, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if len(h) > maxHead {
		return nil, fmt.Errorf("%w: its head has %d bytes, at most %d are allowed", ErrMessage, len(h), maxHead)
	}
	return h, nil
}

// decode reads the JSON of a message.
func decode(text []byte, head any) error {
	if len(text) > maxHead {
		return fmt.Errorf("%w: a head of %d bytes", ErrMessage, len(text))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(head); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

// withMedia is a message whose body is media, which must not change afterwards.
func withMedia(subject string, head any, media []byte) (*nats.Msg, error) {
	h, err := encode(head)
	if err != nil {
		return nil, err
	}
	return &nats.Msg{Subject: subject, Header: nats.Header{headHeader: []string{string(h)}}, Data: media}, nil
}

// job is what a worker is to do. The body is the segment, or empty when that is to be fetched.
type job struct {
	ID     string        `json:"id"` // of this attempt; nobody can guess it
	Stream string        `json:"stream"`
	Seq    uint64        `json:"seq"`
	Start  time.Duration `json:"start"` // of the segment
	Length time.Duration `json:"length"`
	// Budget is how much time is left for it when it is sent.
	Budget time.Duration `json:"budget"`
	// Break says that nothing goes on from the segment before. Otherwise Lead is what is needed of
	// it; when that is much, it is so many bytes (Before) in front of the segment that is fetched.
	Break  bool   `json:"break,omitempty"`
	Lead   []byte `json:"lead,omitempty"`
	Before int    `json:"before,omitempty"`
	Size   int    `json:"size"` // bytes of the segment
	Fetch  bool   `json:"fetch,omitempty"`
	URL    string `json:"url,omitempty"` // to fetch it from, rather than through the queue
	// Exclude are the workers that have tried it in vain.
	Exclude   []string           `json:"exclude,omitempty"`
	Thumbnail bool               `json:"thumbnail,omitempty"`
	Preset    string             `json:"preset,omitempty"`
	Wanted    []int              `json:"wanted"` // the number of each of Renditions in the ladder
	Specs     []ffmpeg.Rendition `json:"specs"`
}

func decodeJob(m *nats.Msg) (j *job, err error) {
	j = &job{}
	err = decode([]byte(m.Header.Get(headHeader)), j)
	switch {
	case err != nil:
	case !ValidID(j.ID), j.Size <= 0, j.Before < 0, j.Size > maxSegment, j.Before > maxSegment, j.Length <= 0, j.Budget <= 0,
		len(j.Specs) == 0, len(j.Specs) > ffmpeg.MaxRenditions, len(j.Wanted) != len(j.Specs), len(j.Exclude) > maxExcluded,
		!j.Fetch && (len(m.Data) != j.Size || j.Before != 0), j.Fetch && len(m.Data) != 0, j.URL != "" && !j.Fetch, len(j.URL) > maxURL:
		err = fmt.Errorf("%w: a job with impossible numbers", ErrMessage)
	}
	if err != nil {
		return j, err
	}
	if err := portable(j.Specs); err != nil {
		return j, err
	}
	j.Budget = min(j.Budget, maxBudget)
	for _, n := range j.Wanted {
		if n < 0 || n >= ffmpeg.MaxRenditions {
			return j, fmt.Errorf("%w: rendition %d", ErrMessage, n)
		}
	}
	return j, nil
}

// portable refuses renditions with options that others should not set here: options of encoders and
// containers can name files.
func portable(specs []ffmpeg.Rendition) error {
	for _, r := range specs {
		sound := slices.Collect(maps.Keys(r.Audio.Opts))
		known := func(option string) bool { return slices.Contains([]string{"b", "ac", "ar", "aac_coder"}, option) }
		switch {
		case !slices.Contains([]string{"", "copy", "drop"}, r.Video.Name), len(r.Video.Opts) > 0,
			!slices.Contains([]string{"", "copy", "drop", "aac"}, r.Audio.Name), slices.ContainsFunc(sound, func(o string) bool { return !known(o) }),
			r.Muxer.Name != "" || len(r.Muxer.Opts) > 0, len(r.Metadata) > 0:
			return fmt.Errorf("%w: the rendition %.60q has options that are not for other machines", ErrMessage, r.Profile.Name)
		}
	}
	return nil
}

// kind of a report.
const (
	kindTaken     = "taken"     // the worker begins
	kindPart      = "part"      // of a rendition: the body
	kindThumbnail = "thumbnail" // the body is a JPEG
	kindFailed    = "failed"    // one rendition, or all when it is negative
	kindDone      = "done"      // nothing more will come
)

// report is what a worker tells an origin about a job.
type report struct {
	Kind   string `json:"kind"`
	Job    string `json:"job"`
	Worker string `json:"worker"`

	Rendition int           `json:"rendition,omitempty"`
	Part      int           `json:"part,omitempty"` // from 0
	Size      int           `json:"size,omitempty"` // of the whole rendition
	Output    *outputHead   `json:"output,omitempty"`
	Error     string        `json:"error,omitempty"`
	Retryable bool          `json:"retryable,omitempty"`
	Took      time.Duration `json:"took,omitempty"`
}

// outputHead is an ffmpeg.Output without its bytes.
type outputHead struct {
	Media    ffmpeg.MediaInfo  `json:"media"`
	Start    time.Duration     `json:"start"`
	Duration time.Duration     `json:"duration"`
	Info     ffmpeg.OutputInfo `json:"info"`
}

func headOf(o *ffmpeg.Output) *outputHead { return &outputHead{o.Media, o.Start, o.Duration, o.Info} }

func (h *outputHead) output(data []byte) ffmpeg.Output {
	return ffmpeg.Output{Data: data, Bytes: int64(len(data)), Media: h.Media, Start: h.Start, Duration: h.Duration, Info: h.Info}
}

func decodeReport(m *nats.Msg) (*report, error) {
	r := &report{}
	if err := decode([]byte(m.Header.Get(headHeader)), r); err != nil {
		return nil, err
	}
	if !ValidID(r.Job) || !ValidID(r.Worker) || r.Rendition >= ffmpeg.MaxRenditions || r.Part < 0 || r.Part > maxSegment/minPart ||
		r.Size < 0 || r.Size > maxSegment || r.Took < 0 {
		return nil, fmt.Errorf("%w: a report with impossible numbers", ErrMessage)
	}
	r.Error = printable(r.Error, maxErrorText)
	return r, nil
}

// receipt is what an origin answers to a worker's first and last report of a job.
type receipt struct {
	Unwanted bool  `json:"unwanted,omitempty"` // nobody waits for it
	Missing  []int `json:"missing,omitempty"`  // renditions that were lost on the way
}

// order is what an origin tells a worker.
type order struct {
	Cancel string        `json:"cancel,omitempty"` // a job that nobody waits for any more
	Bench  time.Duration `json:"bench,omitempty"`  // take no jobs for so long
	Reason string        `json:"reason,omitempty"`
}

// fetch asks an origin for the body of a job, from an offset on.
type fetch struct {
	Job    string `json:"job"`
	Offset int    `json:"offset"`
}

const (
	// headHeader is the header that the JSON of a message with media is in.
	headHeader   = "Lpms"
	maxErrorText = 500
	maxLead      = 36 << 10 // bytes of Lead; in JSON they are a third more
	maxExcluded  = 8
	maxURL       = 2200
)

// printable makes a text of strangers fit for logs and pages.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
