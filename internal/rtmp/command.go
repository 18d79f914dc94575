package rtmp

import "strings"

// cmd is a decoded command message.
type cmd struct {
	name        string
	transaction float64
	args        []any // what follows the transaction: the command object first
}

func parseCommand(payload []byte) (cmd, error) {
	vs, err := DecodeAMF0(payload)
	if err != nil {
		return cmd{}, err
	}
	if len(vs) == 0 {
		return cmd{}, protocolf("empty command")
	}
	name, ok := vs[0].(string)
	if !ok {
		return cmd{}, protocolf("command without a name")
	}
	c := cmd{name: name}
	if len(vs) > 1 {
		c.transaction, _ = vs[1].(float64)
		c.args = vs[2:]
	}
	return c, nil
}

// arg is the i-th argument after the command object.
func (c *cmd) arg(i int) any {
	if i+1 < len(c.args) {
		return c.args[i+1]
	}
	return nil
}

func (c *cmd) stringArg(i int) string {
	s, _ := c.arg(i).(string)
	return s
}

// object is the command object, nil when there is none.
func (c *cmd) object() Object {
	if len(c.args) == 0 {
		return nil
	}
	switch o := c.args[0].(type) {
	case Object:
		return o
	case ECMAArray:
		return Object(o)
	}
	return nil
}

// status is an onStatus command (RTMP 7.2.2).
func status(streamID uint32, level, code, description string) *Message {
	return command(streamID, "onStatus", 0.0, nil, Object{
		{"level", level}, {"code", code}, {"description", description},
	})
}

// splitPath joins an application and a stream name to "/app/name" and takes the
// queries off both.
func splitPath(app, name string) (path, query string) {
	app, q1, _ := strings.Cut(app, "?")
	name, q2, _ := strings.Cut(name, "?")
	name = strings.TrimPrefix(strings.TrimPrefix(name, "mp4:"), "flv:")
	var parts []string
	for p := range strings.SplitSeq(app+"/"+name, "/") {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if q1 != "" && q2 != "" {
		q1 += "&"
	}
	return "/" + strings.Join(parts, "/"), q1 + q2
}
