package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// garbage are messages that nobody should have sent: without sense, with lengths that lie, and
// with values that cannot be.
func garbage() (all []*nats.Msg) {
	noise := make([]byte, 100_000)
	rand.Read(noise)
	// What they have to say is the body of small messages, and a header of those with media.
	add := func(text string, body ...byte) {
		all = append(all, &nats.Msg{Data: []byte(text)}, &nats.Msg{Header: nats.Header{"Lpms": {text}}, Data: body})
	}
	for _, text := range []string{
		"", "\x00", "\xff\xff\xff\xff", string(noise[:1000]), "-NAK", "{", "null", "[]", `"x"`, "{}", `{"unknown":1}`,
		`{"id":` + strings.Repeat("[", 50_000), `{"id":"` + strings.Repeat(" ", 300<<10) + `"}`,
	} {
		add(text)
		add(text, noise...)
	}
	id := rand.Text()
	for _, text := range []string{
		// jobs
		`{"id":%[1]q,"stream":"x","length":-1,"budget":-1,"size":-5,"before":-5,"wanted":[-1],"specs":[{}]}`,
		`{"id":%[1]q,"stream":"x","length":2000000000,"budget":2000000000,"size":4,"wanted":[0],"specs":[{}]}`,
		`{"id":%[1]q,"stream":"../../x","seq":18446744073709551615,"length":9223372036854775807,"budget":9223372036854775807,"size":4,"wanted":[9],"specs":[{}]}`,
		`{"id":%[1]q,"stream":"x","length":2000000000,"budget":2000000000,"size":67108864,"fetch":true,"wanted":[0],"specs":[{}]}`,
		`{"id":%[1]q,"length":2000000000,"budget":1000000,"size":4,"wanted":[0],"specs":[{"Profile":{"Name":"x","Resolution":"99999x99999","Bitrate":"1k"}}]}`,
		// reports
		`{"kind":"part","job":%[1]q,"worker":%[1]q,"rendition":99999999,"size":9999999999}`,
		`{"kind":"part","job":%[1]q,"worker":%[1]q,"rendition":-3,"part":-1,"size":-1}`,
		`{"kind":"taken","job":%[1]q,"worker":%[1]q}`, `{"kind":"taken","job":%[1]q,"worker":"*.>"}`,
		`{"kind":"done","job":%[1]q,"worker":%[1]q}`, `{"kind":"nonsense","job":%[1]q,"worker":%[1]q}`,
		`{"kind":"failed","job":%[1]q,"worker":%[1]q,"rendition":-1,"error":"\u0000\u001b[31m<script>"}`,
		// members, orders and questions
		`{"protocol":99,"id":%[1]q,"capacity":-1,"load":999999999,"encoders":["h264"],"state":"ready"}`,
		`{"cancel":"","bench":-1}`, `{"cancel":%[1]q,"bench":-9223372036854775808}`, `{"job":%[1]q,"offset":-1}`, `{"job":%[1]q,"offset":9223372036854775807}`,
	} {
		add(fmt.Sprintf(text, id), []byte("abcd")...)
	}
	return all
}

// Garbage from those who know the secret, on all subjects that they may publish to, ends nothing:
// streams go on without a gap.
func TestClusterGarbage(t *testing.T) {
	t.Parallel()
	o, service := startOrchestrator(t, "127.0.0.1:0")
	w := startWorker(t, service)
	s := startBroadcaster(t, service, "-transcodingOptions", lightLadder)
	worker := s.awaitWorkers(t, 1)[0].ID
	seen := observe(t, s.server, "clean")
	publisher := publish(t, lightClip(t, 40*time.Second), "rtmp://"+s.rtmp+"/clean")
	seen.awaitAll(t, lightNames...)

	broadcaster := newPeer(t, service, "broadcaster", rand.Text())
	transcoder := newPeer(t, service, "transcoder", rand.Text())
	origin := originOfJob(t, transcoder)
	for _, message := range garbage() {
		for _, subject := range []string{
			"lpms1.job.h264.live." + broadcaster.id + ".x", "lpms1.job.hevc.pushed." + broadcaster.id + ".x.y.z", "lpms1.job.nonsense.live." + broadcaster.id + ".x",
			"lpms1.worker." + worker, "lpms1.worker.nobody", "lpms.hello",
		} {
			message.Subject, message.Reply = subject, ""
			require.NoError(t, broadcaster.PublishMsg(message))
		}
		for _, subject := range []string{
			"lpms1.res." + origin + "." + transcoder.id, "lpms1.get." + origin, "lpms1.res.nobody." + transcoder.id, "lpms.member." + transcoder.id,
			"$JS.ACK.LPMS1_JOBS.h264_live.1.1.1.1.1", "$JS.ACK.LPMS1_JOBS.x", "$JS.ACK.LPMS1_JOBS.h264_live.-1.x.1.1.1.1.1.1", "$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.nothing",
		} {
			message.Subject, message.Reply = subject, ""
			require.NoError(t, transcoder.PublishMsg(message))
			message.Reply = "_INBOX.transcoder." + transcoder.id + ".x"
			require.NoError(t, transcoder.PublishMsg(message))
		}
	}
	large := bytes.Repeat([]byte("[[[[[{"), 1<<20) // about the largest that fits
	for _, subject := range []string{"lpms1.res." + origin + "." + transcoder.id, "lpms.member." + transcoder.id, "lpms1.get." + origin} {
		require.NoError(t, transcoder.Publish(subject, large))
	}
	require.NoError(t, broadcaster.Publish("lpms1.worker."+worker, large))
	require.NoError(t, broadcaster.Flush())
	require.NoError(t, transcoder.Flush())

	answer := talk(t, service, fmt.Sprintf("CONNECT {\"user\":\"transcoder\",\"pass\":%q,\"name\":%q}\r\nPUB lpms1.res.%s.x 9000000\r\n%s",
		orchSecret, rand.Text(), origin, strings.Repeat("x", 1<<20)))
	assert.Contains(t, answer, "Maximum Payload Violation")
	talk(t, service, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	talk(t, service, strings.Repeat("\x00\xff", 1<<16))

	seen.awaitAll(t, lightNames...)
	publisher.succeed(t, time.Minute)
	seen.end(t, patience)
	t.Logf("%v", seen.judgeWhole(t, lightNames...))
	for _, p := range []*process{o.process, w.process, s.process} {
		p.alive(t)
		assert.Less(t, len(p.log.String()), 1<<20, "bytes of the log of %v", p.cmd.Args)
	}
	for _, r := range []*backEndServer{o.backEndServer, w.backEndServer, s} {
		assert.Less(t, r.status(t).Machine.Memory, int64(1<<30))
	}
}

// originOfJob takes a job, as a worker does, and gives it back. Its subject says whose it is.
func originOfJob(t testing.TB, worker *peer) (origin string) {
	t.Helper()
	const next = "$JS.API.CONSUMER.MSG.NEXT.LPMS1_JOBS.h264_live"
	m, err := worker.Request(next, []byte(`{"batch":1,"expires":20000000000}`), patience)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(m.Reply, "$JS.ACK."), "%v", m.Header)
	require.NoError(t, worker.Publish(m.Reply, []byte("-NAK")))
	return strings.Split(m.Subject, ".")[4]
}
