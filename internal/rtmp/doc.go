// Package rtmp speaks the RTMP wire: handshake, chunk stream, AMF, commands
// and FLV tags, for the server side of publish and play and for a client.
//
// It is the lowest layer of the flow: vidlistener reads a publisher through a
// [Conn], vidplayer writes to a player through one. The caller accepts the TCP
// connection, wraps it with [NewServerConn], asks for [Conn.NextRequest] and
// answers with [Conn.AcceptPublish], [Conn.AcceptPlay] or [Conn.Refuse]; then a
// publisher is read with [Conn.ReadMedia].
//
// Every length, count, depth and time that a peer can influence is bounded by
// [Limits]. Buffers grow with bytes that have arrived, never with a length that
// a peer merely claims. The package starts no goroutine.
//
// It does not repair timestamps, parse codec configurations or know streams.
//
// Sources: Adobe's RTMP specification 1.0 (named "RTMP" with its section in
// comments), Adobe's FLV specification 10.1 annex E ("FLV"), AMF0
// ("AMF0"), and Veovera's Enhanced RTMP v2 ("E-RTMP").
package rtmp
