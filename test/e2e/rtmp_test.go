package e2e

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/internal/testmedia"
)

// record plays a stream into a file with ffmpeg, without touching the frames.
func record(t testing.TB, url string, options ...string) (p *process, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ffmpeg.flv")
	args := append([]string{"-nostdin", "-v", "warning", "-stats", "-i", url, "-c", "copy"}, options...)
	return start(t, "ffmpeg", append(args, path)...), path
}

// dump does the same with rtmpdump.
func dump(t testing.TB, url string) (p *process, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rtmpdump.flv")
	return start(t, "rtmpdump", "--live", "-r", url, "-o", path), path
}

// stall plays a stream and reads nothing of it, not even its end.
func stall(t testing.TB, url string) net.Conn {
	t.Helper()
	c, err := rtmp.Dial(t.Context(), url, rtmp.ClientOptions{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				err = nc.(*net.TCPConn).SetReadBuffer(4096) // so that it is full at once
			}
			return nc, err
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { c.Conn.Close() })
	require.NoError(t, c.Play(t.Context()))
	return c.NetConn()
}

// checkRecording compares the frames that a player has stored with those sent: all from
// where it began, which is a key frame, to the end.
func checkRecording(t testing.TB, path string, sent *clip) {
	t.Helper()
	got := readClip(t, path)
	require.NotEmpty(t, got.video)
	require.NotEmpty(t, got.audio)
	assert.True(t, got.video[0].key, "the first picture is a key frame")
	video, audio := tail.of(sent.video, len(got.video)), tail.of(sent.audio, len(got.audio))
	assert.Equal(t, sums(video), sums(got.video), "all pictures from the first to the end")
	assert.Equal(t, sums(audio), sums(got.audio), "all sound from the first to the end")
	checkTrack(t, "video", got.video, video)
	checkTrack(t, "audio", got.audio, audio)
}

// ffmpeg and rtmpdump play beside each other and beside a viewer who does not read; the
// stream has more bytes than the buffers between.
func TestRTMPPlayers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	sent := makeClip(t, "heavy", testmedia.Clip{Seconds: 16, Size: "640x360", Video: []string{
		"-g", "60", "-bf", "2", "-sc_threshold", "0", "-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "4M",
	}})
	url := s.publishURL("heavy")
	publisher := publish(t, sent, url)
	s.live(t, "heavy", 1)
	stalled := stall(t, url)
	ffmpeg, ffmpegFile := record(t, url)
	rtmpdump, rtmpdumpFile := dump(t, url)
	publisher.succeed(t, time.Minute)
	ffmpeg.succeed(t, patience)
	rtmpdump.succeed(t, patience)
	stalled.SetReadDeadline(time.Now().Add(patience))
	rest, _ := io.Copy(io.Discard, stalled)
	info, err := os.Stat(sent.path)
	require.NoError(t, err)
	assert.Less(t, rest, info.Size()/2, "what the stalled viewer finds in the buffers")
	for _, path := range []string{ffmpegFile, rtmpdumpFile} {
		checkRecording(t, path, sent)
		got := readClip(t, path)
		apart := (got.video[0].pts - got.audio[0].pts).Abs()
		assert.Less(t, apart, 200*time.Millisecond, "sound and picture begin together")
	}
}

// A name that nobody publishes is an error that the player tells.
func TestRTMPNothingPublished(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p, _ := record(t, s.publishURL("nothing"))
	assert.NotZero(t, p.exit(t, patience))
	d, _ := dump(t, s.publishURL("nothing"))
	assert.NotZero(t, d.exit(t, patience))
	c, err := rtmp.Dial(t.Context(), s.publishURL("nothing"), rtmp.ClientOptions{})
	require.NoError(t, err)
	defer c.Conn.Close()
	require.ErrorContains(t, c.Play(t.Context()), "nothing is published")
}

// A second publisher of a live name is refused, and the first one and its viewers notice
// nothing.
func TestRTMPSecondPublisher(t *testing.T) {
	t.Parallel()
	s := serve(t)
	sent := makeClip(t, "short", short)
	seen := watch(t, s, "taken")
	first := publish(t, sent, s.publishURL("taken"))
	s.live(t, "taken", 1)
	wait(t, "the first segment", func() bool { return s.status(t, s.masterURL("taken")) == 200 })
	second := publish(t, sent, s.publishURL("taken"))
	assert.NotZero(t, second.exit(t, patience), "exit code of the second publisher")
	s.see(t, "taken.* refused: ", patience)
	first.succeed(t, time.Minute)
	v := seen()
	v.checkPlaylists(t)
	v.probe(t, true)
	v.segments.checkMedia(t, sent, whole)
}

// Encoders such as OBS take a server without an application and a stream key.
func TestRTMPStreamKeyWithoutApplication(t *testing.T) {
	t.Parallel()
	s := serve(t)
	sent := makeClip(t, "short", short)
	seen := watch(t, s, "key")
	publisher := publish(t, sent, "rtmp://"+s.rtmp, "-rtmp_app", "", "-rtmp_playpath", "key")
	s.live(t, "key", 1)
	d := start(t, "rtmpdump", "--live", "-r", "rtmp://"+s.rtmp, "-a", "", "-y", "key", "-o", filepath.Join(t.TempDir(), "key.flv"))
	publisher.succeed(t, time.Minute)
	d.succeed(t, patience)
	checkRecording(t, d.cmd.Args[len(d.cmd.Args)-1], sent)
	v := seen()
	v.checkPlaylists(t)
	v.probe(t, true)
	v.segments.checkMedia(t, sent, whole)
}

// short is for tests that look at something else than the media.
var short = testmedia.Clip{Seconds: 9, Size: "160x90"}

// closed waits until the peer has closed a connection.
func closed(nc net.Conn) error {
	nc.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, nc)
	return err
}
