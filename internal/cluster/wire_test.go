package cluster

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/status"
)

const someID = "ABCDEFGHIJKL"

func someJob() *job {
	return &job{
		ID: someID, Stream: "x", Seq: 7, Start: s, Length: 2 * s, Budget: s, Lead: []byte("be"), Size: 3, Exclude: []string{someID}, Wanted: []int{1},
		Specs: []ffmpeg.Rendition{{
			Profile: ffmpeg.P144p30fps16x9, Audio: ffmpeg.ComponentOptions{Name: "aac", Opts: map[string]string{"b": "32k"}},
		}},
	}
}

// raw is a message as it may come.
func raw(head string, body string) *nats.Msg {
	return &nats.Msg{Header: nats.Header{headHeader: []string{head}}, Data: []byte(body)}
}

func TestJobOnTheWire(t *testing.T) {
	m, err := withMedia("x", someJob(), []byte("seg"))
	require.NoError(t, err)
	got, err := decodeJob(m)
	require.NoError(t, err)
	require.Equal(t, someJob(), got)

	for name, spoil := range map[string]func(*job){
		"no id":             func(j *job) { j.ID = "" },
		"a subject as id":   func(j *job) { j.ID = "ABCDEFGH.>" },
		"nothing":           func(j *job) { j.Size = 0 },
		"less than nothing": func(j *job) { j.Before = -1 },
		"too large":         func(j *job) { j.Size = maxSegment + 1 },
		"not all there":     func(j *job) { j.Size = 4 },
		"more than said":    func(j *job) { j.Size = 2 },
		"a lead in front":   func(j *job) { j.Before = 1 },
		"both ways":         func(j *job) { j.Fetch = true },
		"an idle address":   func(j *job) { j.URL = "http://x" },
		"no time":           func(j *job) { j.Budget = 0 },
		"no length":         func(j *job) { j.Length = -s },
		"nothing wanted":    func(j *job) { j.Specs, j.Wanted = nil, nil },
		"wanted twice over": func(j *job) { j.Wanted = []int{1, 2} },
		"a wrong number":    func(j *job) { j.Wanted = []int{ffmpeg.MaxRenditions} },
		"too many":          func(j *job) { j.Specs, j.Wanted = make([]ffmpeg.Rendition, 11), make([]int, 11) },
		"all excluded":      func(j *job) { j.Exclude = make([]string, maxExcluded+1) },
	} {
		j := someJob()
		spoil(j)
		m, err := withMedia("x", j, []byte("seg"))
		require.NoError(t, err)
		_, err = decodeJob(m)
		require.ErrorIs(t, err, ErrMessage, name)
	}
	for name, m := range map[string]*nats.Msg{
		"empty":           {},
		"no JSON":         raw("[[", ""),
		"something newer": raw(`{"newer":1}`, ""),
		"a huge head":     raw(strings.Repeat(" ", maxHead+1), ""),
	} {
		_, err := decodeJob(m)
		require.ErrorIs(t, err, ErrMessage, name)
		_, err = decodeReport(m)
		require.ErrorIs(t, err, ErrMessage, name)
	}
	_, err = encode(strings.Repeat("x", maxHead))
	require.ErrorIs(t, err, ErrMessage)
}

func TestSubjects(t *testing.T) {
	require.Equal(t, "lpms1.job.h264.live.>", lane{}.filter())
	l := lane{need: need{hevc: true, nvidia: true}, pushed: true}
	require.Equal(t, "lpms1.job.hevc-nvidia.pushed."+someID+".a=b", l.subject(someID, "a.b"))
	require.Equal(t, someID, originOf(l.subject(someID, "a.b")))
	for _, s := range []string{"", "lpms1.job.h264.live", "lpms1.job.h264.live.short.x", "lpms1.res." + someID, "lpms1.job.h264.live.ABCDEFGH>.x"} {
		require.Empty(t, originOf(s), s)
	}
	require.Len(t, allLanes(), 8)
	require.Equal(t, need{hevc: true}, needOf([]ffmpeg.Rendition{{}, {Profile: ffmpeg.VideoProfile{Encoder: ffmpeg.H265}}}, ffmpeg.Software))
	require.Equal(t, need{}, needOf([]ffmpeg.Rendition{{Profile: ffmpeg.VideoProfile{Encoder: ffmpeg.H265}, Video: ffmpeg.ComponentOptions{Name: "drop"}}}, ffmpeg.Software))
	require.Len(t, lanesOf([]string{"h264"}, "SW"), 2)
	require.Len(t, lanesOf([]string{"h264", "hevc"}, "Nvidia"), 8)
	require.Empty(t, lanesOf([]string{"hevc"}, "SW"))
}

func TestEncodersHere(t *testing.T) {
	names, err := EncodersHere(t.Context(), ffmpeg.Software, "")
	require.NoError(t, err)
	require.Equal(t, []string{"h264", "hevc"}, names)
	_, err = EncodersHere(t.Context(), ffmpeg.Nvidia, "99")
	require.ErrorContains(t, err, "this machine cannot encode H.264 (Nvidia): ")
}

func count(able, _ int) int { return able }

func TestMembers(t *testing.T) {
	ms := newMembers()
	m := func(change func(*member)) *member {
		m := &member{Protocol: Protocol, ID: someID, Name: "host", State: status.WorkerReady, Capacity: 2, Encoders: []string{"h264"}}
		if change != nil {
			change(m)
		}
		text, err := encode(m)
		require.NoError(t, err)
		got, err := decodeMember(text)
		require.NoError(t, err)
		return got
	}
	news := ms.news()
	require.Contains(t, ms.note(m(nil), at(0)), "worker host (ABCDEFGH) is there: 2 segments at a time, [h264]")
	<-news
	require.Equal(t, 1, count(ms.able(need{}, nil, at(0))))
	require.Zero(t, count(ms.able(need{hevc: true}, nil, at(0))))
	require.Zero(t, count(ms.able(need{}, []string{someID}, at(0))))
	require.Empty(t, ms.note(m(nil), at(s)), "nothing is new")

	bench, name := ms.refuse(someID, at(s))
	require.Equal(t, firstBench, bench)
	require.Equal(t, "host (ABCDEFGH)", name)
	bench, _ = ms.refuse(someID, at(2*s))
	require.Zero(t, bench, "it is benched already")
	require.Zero(t, count(ms.able(need{}, nil, at(10*s))))
	require.Equal(t, 1, count(ms.able(need{}, nil, at(12*s))))
	bench, _ = ms.refuse(someID, at(12*s))
	require.Equal(t, 2*firstBench, bench)
	require.EqualValues(t, 3, ms.list(at(12 * s))[0].Refused)
	bench, _ = ms.refuse("NOBODY", at(0))
	require.Zero(t, bench)

	require.Contains(t, ms.note(m(func(m *member) { m.State, m.Reason = status.WorkerBenched, "x\n" }), at(13*s)), "is benched: x")
	require.Contains(t, ms.note(m(func(m *member) { m.State = status.WorkerLeaving }), at(13*s)), "about to leave")
	require.Contains(t, ms.note(m(func(m *member) { m.Gone = true }), at(14*s)), "has left")
	require.Empty(t, ms.list(at(14*s)))
	require.Empty(t, ms.note(m(func(m *member) { m.Gone = true }), at(14*s)))

	news = ms.news()
	require.Contains(t, ms.note(m(func(m *member) { m.Protocol = 2 }), at(14*s)), "speaks protocol 2, this program 1")
	<-news
	require.Zero(t, count(ms.able(need{}, nil, at(14*s))))
	require.Equal(t, status.WorkerForeign, ms.list(at(14 * s))[0].State)
	require.Empty(t, ms.expire(at(17*s)))
	require.Len(t, ms.expire(at(18*s)), 1)
	require.Empty(t, ms.list(at(18*s)))

	// What a later version says of itself is understood as far as it goes.
	later := []byte(`{"protocol":3,"id":"` + someID + `","mood":"good","state":"dreaming"}`)
	got, err := decodeMember(later)
	require.NoError(t, err)
	require.Equal(t, status.WorkerForeign, got.State)
}

// attempts take what workers say, whatever it is.
func TestParts(t *testing.T) {
	newAttempt := func() *attempt { return newAttempt(nil, nil, []byte("x"), []int{0, 1}, func() {}) }
	part := func(worker string, n, size int, body string) *report {
		return &report{Kind: kindPart, Job: someID, Worker: worker, Rendition: 1, Part: n, Size: size, Output: &outputHead{}}
	}
	const other = "MNOPQRSTUVWX"
	a := newAttempt()
	for _, p := range []struct {
		worker string
		n      int
		body   string
	}{{someID, 0, "ab"}, {other, 0, "AB"}, {someID, 1, "cd"}, {other, 1, "CD"}, {someID, 0, "ab"}, {someID, 2, "ef"}, {other, 2, "EF"}} {
		a.report(part(p.worker, p.n, 6, p.body), []byte(p.body))
	}
	got := a.unseen()
	require.Len(t, got, 1)
	require.Equal(t, "ABCDEF", string(got[0].out.Data), "parts of two workers are kept apart, and one begins anew")

	for name, send := range map[string]func(a *attempt){
		"more than said": func(a *attempt) { a.report(part(someID, 0, 2, ""), []byte("abc")) },
		"nothing":        func(a *attempt) { a.report(part(someID, 0, 2, ""), nil) },
		"no description": func(a *attempt) {
			r := part(someID, 0, 2, "")
			r.Output = nil
			a.report(r, []byte("ab"))
		},
		"too much in all": func(a *attempt) {
			big := bytes.Repeat([]byte("x"), 8<<20)
			for rendition := range 3 {
				for n := range 7 {
					r := part(someID, n, maxSegment, "")
					r.Rendition = rendition
					a.report(r, big)
				}
			}
		},
	} {
		a := newAttempt()
		send(a)
		rs := a.unseen()
		require.NotEmpty(t, rs, name)
		require.ErrorIs(t, rs[len(rs)-1].err, errGarbage, name)
	}

	a = newAttempt()
	a.report(&report{Kind: kindThumbnail, Worker: someID}, []byte{0xff, 0xd8, 0xff, 0})
	first := part(someID, 0, 2, "")
	first.Rendition = 0
	a.report(first, []byte("ab"))
	require.Len(t, a.unseen(), 2, "a picture is not the first rendition")

	a = newAttempt()
	a.link = newLink(NewOrigin(OriginOptions{}), &Server{})
	for range takerLimit {
		a.report(&report{Kind: kindTaken, Worker: rand.Text()}, nil)
	}
	require.False(t, a.over)
	a.report(&report{Kind: kindTaken, Worker: rand.Text()}, nil)
	require.True(t, a.over && a.hopeless, "it is the end of workers")

	a = newAttempt()
	for range 1000 {
		a.report(&report{Kind: kindThumbnail, Worker: someID}, []byte{0xff, 0xd8, 0xff, 0})
		a.report(&report{Kind: kindTaken, Worker: someID}, nil)
		a.report(&report{Kind: kindFailed, Worker: someID, Rendition: 1}, nil)
	}
	require.LessOrEqual(t, len(a.unseen()), 4*ffmpeg.MaxRenditions, "what nobody looks at does not grow")
	require.LessOrEqual(t, len(a.workers), 100)
}

func FuzzJob(f *testing.F) {
	m, err := withMedia("x", someJob(), []byte("seg"))
	require.NoError(f, err)
	f.Add(m.Header.Get(headHeader), "seg")
	f.Add("{}", "")
	f.Fuzz(func(t *testing.T, head, body string) {
		j, err := decodeJob(raw(head, body))
		if err == nil && (!j.Fetch && len(body) != j.Size || len(j.Specs) != len(j.Wanted) || j.Budget <= 0) {
			t.Fatalf("%+v with %d bytes", j, len(body))
		}
	})
}

func FuzzReports(f *testing.F) {
	for _, r := range []report{
		{Kind: kindTaken}, {Kind: kindDone, Took: time.Second}, {Kind: kindFailed, Rendition: -1, Error: "x", Retryable: true},
		{Kind: kindPart, Size: 4, Output: &outputHead{}}, {Kind: kindThumbnail},
	} {
		r.Job, r.Worker = someID, someID
		m, err := encode(r)
		require.NoError(f, err)
		f.Add(string(m), string(m), "body")
	}
	f.Fuzz(func(t *testing.T, first, second, body string) {
		a := newAttempt(newLink(NewOrigin(OriginOptions{}), &Server{}), nil, []byte("x"), []int{0}, func() {})
		for _, head := range []string{first, second, first} {
			if r, err := decodeReport(raw(head, body)); err == nil {
				a.report(r, []byte(body))
			}
			if m, err := decodeMember([]byte(head)); err == nil && !ValidID(m.ID) {
				t.Fatalf("%+v", m)
			}
		}
		for _, r := range a.unseen() {
			if r.err == nil && r.thumbnail == nil && len(r.out.Data) == 0 {
				t.Fatal("an empty result")
			}
		}
	})
}
