package backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// ErrForbidden is a publisher who may not publish.
var ErrForbidden = errors.New("backend: not allowed")

const (
	webhookTime = 5 * time.Second
	webhookSize = 64 << 10
	// admissionTime is how long an admission is good for: the server waits for a few seconds
	// at most before it makes the streams.
	admissionTime = 30 * time.Second
)

// admission is what a publisher was allowed.
type admission struct {
	name       string
	key        string             // what RTMP players must give; empty for none
	renditions []ffmpeg.Rendition // nil for what Options say
	at         time.Time          // when
}

// authorize decides on a publisher by the path of its URL, with its query.
func (b *Backend) authorize(ctx context.Context, path string) (admission, error) {
	a := admission{name: streamName(path)}
	if b.opts.PublishKey != "" && !sameKey(keyOf(path), b.opts.PublishKey) {
		return a, fmt.Errorf("%w: add ?key=... with the server's key to the name of the stream", ErrForbidden)
	}
	if b.opts.AuthWebhookURL != "" {
		if err := b.askWebhook(ctx, path, &a); err != nil {
			return a, err
		}
	}
	switch {
	case !stream.ValidName(a.name):
		return a, fmt.Errorf("backend: %.140q cannot name a stream", a.name)
	case b.opts.CurrentManifest && a.name == "current":
		return a, errors.New(`backend: "current" is taken by -currentManifest: choose another name`)
	}
	return a, nil
}

// keyOf is the parameter key of a path.
func keyOf(path string) string {
	_, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get("key")
}

// sameKey takes as long whatever the keys are.
func sameKey(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// webhookAnswer is what the webhook may say.
type webhookAnswer struct {
	ManifestID string               `json:"manifestID"`
	StreamKey  string               `json:"streamKey"`
	Presets    []string             `json:"presets"`
	Profiles   []ffmpeg.JsonProfile `json:"profiles"`
}

// askWebhook asks about a new stream. An empty answer accepts it as it is.
func (b *Backend) askWebhook(ctx context.Context, path string, a *admission) error {
	ctx, cancel := context.WithTimeout(ctx, webhookTime)
	defer cancel()
	question, err := json.Marshal(map[string]string{"url": path})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.opts.AuthWebhookURL, bytes.NewReader(question))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.webhook.Do(req)
	if err != nil {
		b.opts.Warnf("-authWebhookUrl: %v", err)
		return fmt.Errorf("%w: the webhook does not answer", ErrForbidden)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, webhookSize+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: the webhook's answer: %w", ErrForbidden, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: the webhook says %d", ErrForbidden, resp.StatusCode)
	case len(body) > webhookSize:
		return fmt.Errorf("%w: the webhook's answer is longer than %d bytes", ErrForbidden, webhookSize)
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	var answer webhookAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%w: the webhook's answer: %w", ErrForbidden, err)
	}
	if answer.ManifestID != "" {
		a.name = answer.ManifestID
	}
	a.key = answer.StreamKey
	a.renditions, err = answer.ladder()
	return err
}

// ladder is nil when the answer names no renditions.
func (w *webhookAnswer) ladder() (ladder []ffmpeg.Rendition, err error) {
	for _, name := range w.Presets {
		r, err := transcoder.NamedRendition(name)
		if err != nil {
			return nil, fmt.Errorf("the webhook's presets: %w", err)
		}
		ladder = append(ladder, r)
	}
	if len(w.Profiles) > 0 {
		profiles, err := ffmpeg.ParseProfilesFromJsonProfileArray(w.Profiles)
		if err != nil {
			return nil, fmt.Errorf("the webhook's profiles: %w", err)
		}
		for _, p := range profiles {
			ladder = append(ladder, ffmpeg.Rendition{Profile: p})
		}
	}
	return ladder, checkLadder(ladder)
}

// checkLadder finds out whether renditions can be made, all together.
func checkLadder(ladder []ffmpeg.Rendition) error {
	if len(ladder) == 0 {
		return nil
	}
	if err := transcoder.Check(ladder); err != nil {
		return err
	}
	l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{Renditions: ladder})
	if err != nil {
		return err
	}
	l.Close()
	return nil
}
