package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Settings are what can be changed while the process runs. What is nil stays as it is.
type Settings struct {
	// TranscodingOptions is what the flag -transcodingOptions takes, as it was sent.
	// SetConfig checks it. Whether it may name a file is for SetConfig as well.
	TranscodingOptions *string
	// MaxSessions is 1 to MaxMaxSessions.
	MaxSessions *int
}

// MaxMaxSessions is the largest number that maxSessions may be set to.
const MaxMaxSessions = 10_000

const (
	keyTranscodingOptions = "transcodingOptions"
	keyMaxSessions        = "maxSessions"
	keyLogLevel           = "loglevel"
)

func settingNames() string { return keyMaxSessions + " and " + keyTranscodingOptions }

func (a *admin) getConfig(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, a.opts.Config())
}

// setConfig answers with the settings as they are then.
func (a *admin) setConfig(w http.ResponseWriter, r *http.Request) error {
	values, err := readValues(r, keyMaxSessions, keyTranscodingOptions)
	if err != nil {
		return err
	}
	var s Settings
	if v, ok := values[keyTranscodingOptions]; ok {
		if strings.TrimSpace(v) == "" {
			return fmt.Errorf("%s must not be empty: see /getAvailableTranscodingOptions", keyTranscodingOptions)
		}
		s.TranscodingOptions = &v
	}
	if v, ok := values[keyMaxSessions]; ok {
		n, err := number(keyMaxSessions, v, 1, MaxMaxSessions)
		if err != nil {
			return err
		}
		s.MaxSessions = &n
	}
	if err := a.opts.SetConfig(s); err != nil {
		return err
	}
	if a.opts.Config == nil {
		return writeText(w, "ok\n")
	}
	return a.getConfig(w, r)
}

func (a *admin) transcodingOptions(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, append([]string{}, a.opts.TranscodingOptions()...))
}

func (a *admin) getLogLevel(w http.ResponseWriter, _ *http.Request) error {
	return writeText(w, strconv.Itoa(a.opts.LogLevel())+"\n")
}

// setLogLevel answers with the level that was set.
func (a *admin) setLogLevel(w http.ResponseWriter, r *http.Request) error {
	values, err := readValues(r, keyLogLevel)
	if err != nil {
		return err
	}
	n, err := number(keyLogLevel, values[keyLogLevel], 0, 99)
	if err != nil {
		return err
	}
	if err := a.opts.SetLogLevel(n); err != nil {
		return err
	}
	return writeText(w, strconv.Itoa(n)+"\n")
}

func number(key, value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s must be a number from %d to %d, not %q", key, least, most, shortened(value))
	}
	return n, nil
}

// shortened is for error messages.
func shortened(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// readValues returns what the request wants to set, at least one value: from the query and
// a form, or from an object in JSON. Other keys than known, and a key twice, are errors.
func readValues(r *http.Request, known ...string) (map[string]string, error) {
	values, err := readAny(r)
	if err != nil {
		return nil, err
	}
	can := "what can be set is " + strings.Join(known, " and ")
	if len(values) == 0 {
		return nil, errors.New("there is nothing to set in the request: " + can)
	}
	for key := range values {
		if !slices.Contains(known, key) {
			return nil, fmt.Errorf("%q cannot be set: %s", shortened(key), can)
		}
	}
	return values, nil
}

func readAny(r *http.Request) (map[string]string, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "application/json":
		return readJSON(r.Body)
	case kind == "application/x-www-form-urlencoded", r.ContentLength == 0:
		return readForm(r)
	}
	return nil, &failure{http.StatusUnsupportedMediaType, "send a form (application/x-www-form-urlencoded) or an object in JSON (application/json)"}
}

func readForm(r *http.Request) (map[string]string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("the form cannot be read: %w", err)
	}
	values := make(map[string]string)
	for key, all := range r.Form {
		if len(all) != 1 {
			return nil, fmt.Errorf("%q is there %d times: send it once", shortened(key), len(all))
		}
		values[key] = all[0]
	}
	return values, nil
}

func readJSON(body io.Reader) (map[string]string, error) {
	dec := json.NewDecoder(body)
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("the object in JSON cannot be read: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one object in JSON: send one")
	}
	values := make(map[string]string)
	for key, v := range object {
		switch v := v.(type) {
		case string:
			values[key] = v
		case json.Number:
			values[key] = v.String()
		default:
			return nil, fmt.Errorf("%q must be a string or a number", shortened(key))
		}
	}
	return values, nil
}
