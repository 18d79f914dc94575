package push

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	status, _ := answerOf(err)
	return status
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		path   string
		name   string
		n      uint64
		status int
	}{
		{"/live/camera/17.ts", "camera", 17, 200},
		{"/live/camera/0.mp4", "camera", 0, 200},
		{"/live/a.b-c_D/00017.ts", "a.b-c_D", 17, 200},
		{"/live/x/9007199254740992.ts", "x", 1 << 53, 200},
		{"/live/x/9007199254740993.ts", "", 0, 400},
		{"/live/x/99999999999999999999.ts", "", 0, 400},
		{"/live/x/000000000000000000001.ts", "", 0, 400},
		{"/live/x/-1.ts", "", 0, 400},
		{"/live/x/+1.ts", "", 0, 400},
		{"/live/x/1.5.ts", "", 0, 400},
		{"/live/x/.ts", "", 0, 400},
		{"/live/x/1", "", 0, 400},
		{"/live/x/1.m4s", "", 0, 400},
		{"/live/x/1.TS", "", 0, 400},
		{"/live/x/1.ts/", "", 0, 400},
		{"/live/x/y/1.ts", "", 0, 400},
		{"/live/x", "", 0, 400},
		{"/live/", "", 0, 400},
		{"/live//1.ts", "", 0, 400},
		{"/live/../1.ts", "", 0, 400},
		{"/live/.x/1.ts", "", 0, 400},
		{"/live/a b/1.ts", "", 0, 400},
		{"/live/" + strings.Repeat("x", 129) + "/1.ts", "", 0, 400},
		{"/stream/x/1.ts", "", 0, 404},
		{"", "", 0, 404},
	} {
		name, n, err := parsePath(c.path)
		require.Equal(t, c.status, statusOf(err), "%q: %v", c.path, err)
		if err == nil {
			require.Equal(t, c.name, name)
			require.Equal(t, c.n, n)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "2000": 2 * time.Second, "2002": 2002 * time.Millisecond, "300000": 5 * time.Minute,
		"300001": -1, "-1": -1, "2s": -1, "2.0": -1, "1e3": -1, " ": -1, "99999999999999999999999": -1,
	} {
		d, err := parseDuration(http.Header{durationHeader: {text}})
		if want < 0 {
			require.Equal(t, 400, statusOf(err), "%q", text)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, d, "%q", text)
	}
}

func TestCheckResolution(t *testing.T) {
	for text, want := range map[string]int{
		"": 200, "1280x720": 200, "1x1": 200, "1280": 400, "1280x": 400, "x720": 400, "1280X720": 400,
		"1280x720x2": 400, "-1x2": 400, "99999x2": 400,
	} {
		require.Equal(t, want, statusOf(checkResolution(http.Header{resolutionHeader: {text}})), "%q", text)
	}
}

func TestWantsRenditions(t *testing.T) {
	for _, c := range []struct {
		accept []string
		want   bool
	}{
		{nil, false},
		{[]string{"*/*"}, false},
		{[]string{"multipart/*"}, false},
		{[]string{"multipart/mixed"}, true},
		{[]string{"Multipart/Mixed"}, true},
		{[]string{"text/plain, multipart/mixed;q=0.5"}, true},
		{[]string{"text/plain", "multipart/mixed"}, true},
		{[]string{"multipart/mixed;q=0"}, false},
		{[]string{"multipart/mixed; boundary"}, true},
		{[]string{",,;"}, false},
	} {
		require.Equal(t, c.want, wantsRenditions(http.Header{"Accept": c.accept}), "%q", c.accept)
	}
}

func TestParseConfiguration(t *testing.T) {
	const low = `{"name":"low","width":256,"height":144,"bitrate":100000}`
	for _, c := range []struct {
		name, text string
		want       []string // nil: says nothing
		says       string   // of an error
	}{
		{"absent", "", nil, ""},
		{"array", "[" + low + "]", []string{"low"}, ""},
		{"object", `{"manifestID":"x","profiles":[` + low + `]}`, []string{"low"}, ""},
		{"presets", `{"presets":["P144p30fps16x9","P240p30fps16x9"]}`, []string{"P144p30fps16x9", "P240p30fps16x9"}, ""},
		{"both", `{"presets":["P144p30fps16x9"],"profiles":[` + low + `]}`, []string{"P144p30fps16x9", "low"}, ""},
		{"default name", `[{"width":256,"height":144,"bitrate":1}]`, []string{"256x144_1"}, ""},
		{"none wanted", "[]", []string{}, ""},
		{"none wanted, in an object", `{"profiles":[]}`, []string{}, ""},
		{"says nothing", `{"streamID":"x"}`, nil, ""},
		{"null", `{"profiles":null}`, nil, ""},
		{"no JSON", "low", nil, "profiles"},
		{"half", `{"profiles":[`, nil, "profiles"},
		{"no array", `{"profiles":7}`, nil, "array"},
		{"unknown preset", `{"presets":["P1"]}`, nil, "P1"},
		{"twice", "[" + low + "," + low + "]", nil, "taken"},
		{"the source", `[{"name":"source","width":256,"height":144}]`, nil, "taken"},
		{"bad name", `[{"name":"a/b","width":256,"height":144}]`, nil, "invalid name"},
		{"bad size", `[{"name":"a","width":0,"height":144}]`, nil, "width"},
		{"VP9", `[{"name":"a","width":256,"height":144,"encoder":"VP9"}]`, nil, "MPEG-TS"},
		{"too many", `{"presets":["P144p30fps16x9"` + strings.Repeat(`,"P144p30fps16x9"`, 10) + `]}`, nil, "at most 10"},
		{"too long", "[" + strings.Repeat(" ", maxConfiguration) + "]", nil, "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rs, err := parseConfiguration(http.Header{configurationHeader: {c.text}})
			if c.says != "" {
				require.Equal(t, 400, statusOf(err))
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			if c.want == nil {
				require.Nil(t, rs)
				return
			}
			names := []string{}
			for _, r := range rs {
				names = append(names, r.Profile.Name)
			}
			require.Equal(t, c.want, names)
		})
	}
}

// What strangers write in the head of a request is taken or refused with 400 or 404.
func FuzzHead(f *testing.F) {
	f.Add("/live/x/1.ts", "2000", "1280x720", "multipart/mixed", `[{"width":256,"height":144}]`)
	f.Add("/live/x/00.mp4", "-1", "x", "a;q=0,multipart/mixed;q=1", `{"profiles":[{"fps":1,"gop":"intra"}],"presets":["P144p30fps16x9"]}`)
	f.Add("/live", "", "", "", `{"presets":null}`)
	f.Fuzz(func(t *testing.T, path, duration, resolution, accept, config string) {
		name, n, err := parsePath(path)
		if err == nil {
			require.LessOrEqual(t, n, uint64(maxNumber))
			require.True(t, strings.HasPrefix(path, "/live/"+name+"/"))
		} else {
			require.Contains(t, []int{400, 404}, statusOf(err))
		}
		h := http.Header{durationHeader: {duration}, resolutionHeader: {resolution}, "Accept": {accept}, configurationHeader: {config}}
		d, err := parseDuration(h)
		require.Contains(t, []int{200, 400}, statusOf(err))
		require.True(t, d >= 0 && d <= maxDuration)
		require.Contains(t, []int{200, 400}, statusOf(checkResolution(h)))
		_ = wantsRenditions(h)
		rs, err := parseConfiguration(h)
		require.Contains(t, []int{200, 400}, statusOf(err))
		require.True(t, err == nil || rs == nil)
	})
}
