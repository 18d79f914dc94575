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

var (
	// ErrForbidden is a publisher who may not publish.
	ErrForbidden = errors.New("backend: not allowed")
	// ErrName is a name that no stream can have here.
	ErrName = errors.New("backend: choose another name for the stream, of 1 to 128 of A-Z a-z 0-9 _ . - without a dot in front")
)

const (
	webhookTime = 5 * time.Second
	webhookSize = 64 << 10
	// admissionTime is how long an admission is good for: the server waits for a few seconds
	// at most before it makes the streams.
	admissionTime = 30 * time.Second
	maxAdmitted   = 1000
)

// admission is what a publisher was allowed.
type admission struct {
	name       string
	key        string             // what RTMP players must give; empty for none
	renditions []ffmpeg.Rendition // nil for what Options say
	path       string             // with the query
	at         time.Time          // when
}

// authorize decides on a publisher by the path of its URL, with its query. origin is what
// stands in front of that: "rtmp://host:port".
func (b *Backend) authorize(ctx context.Context, origin, path string) (admission, error) {
	a := admission{name: streamName(path), path: path}
	if b.opts.PublishKey != "" && !sameKey(keyOf(path), b.opts.PublishKey) {
		return a, fmt.Errorf("%w: add ?key=... with the server's key to the name of the stream", ErrForbidden)
	}
	if b.opts.AuthWebhookURL != "" {
		if err := b.askWebhook(ctx, origin+path, &a); err != nil {
			return a, err
		}
	}
	switch {
	case !stream.ValidName(a.name):
		return a, fmt.Errorf("%w: %.140q", ErrName, a.name)
	case b.opts.CurrentManifest && a.name == "current":
		return a, fmt.Errorf(`%w: "current" is taken by -currentManifest`, ErrName)
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
func (b *Backend) askWebhook(ctx context.Context, address string, a *admission) error {
	ctx, cancel := context.WithTimeout(ctx, webhookTime)
	defer cancel()
	question, err := json.Marshal(map[string]string{"url": address})
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
		if withAddress := (*url.Error)(nil); errors.As(err, &withAddress) {
			err = withAddress.Err // the address may hold a secret
		}
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
		if !stream.ValidName(a.name) {
			b.opts.Warnf("-authWebhookUrl: %.140q cannot name a stream", a.name)
			return fmt.Errorf("%w: the webhook answers with a name that no stream can have", ErrForbidden)
		}
	}
	a.key = answer.StreamKey
	if len(answer.Presets)+len(answer.Profiles) == 0 {
		return nil
	}
	profiles, err := ffmpeg.ParseProfilesFromJsonProfileArray(answer.Profiles)
	if err == nil {
		a.renditions, err = transcoder.Ladder(answer.Presets, profiles)
	}
	if err != nil {
		return fmt.Errorf("the webhook's renditions: %w", err)
	}
	return nil
}
