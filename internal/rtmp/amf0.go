package rtmp

import (
	"encoding/binary"
	"math"
)

// Values of AMF0 in Go: float64, bool, string, nil (null), Undefined, Object,
// ECMAArray, []any (strict array), Date.
type (
	// Property is one named member of an Object.
	Property struct {
		Name  string
		Value any
	}
	// Object is an AMF0 object, in the order of the wire.
	Object []Property
	// ECMAArray is an AMF0 associative array, in the order of the wire.
	ECMAArray []Property
	// Date is an AMF0 date: milliseconds since 1970.
	Date float64
	// Undefined is the AMF0 undefined value.
	Undefined struct{}
)

// Get returns the value of a member, nil when there is none.
func (o Object) Get(name string) any {
	for _, p := range o {
		if p.Name == name {
			return p.Value
		}
	}
	return nil
}

// Get returns the value of a member, nil when there is none.
func (a ECMAArray) Get(name string) any { return Object(a).Get(name) }

// AMF0 markers (AMF0 2.1).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfReference   = 0x07
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0a
	amfDate        = 0x0b
	amfLongString  = 0x0c
	amfUnsupported = 0x0d
	amfXML         = 0x0f
	amfTyped       = 0x10
)

// DecodeAMF0 decodes all values of b, at most 1,024 of them and 32 deep; every
// object and array holds at most 1,024 members. Strings are copied.
func DecodeAMF0(b []byte) ([]any, error) {
	d := amfDecoder{b: b}
	var out []any
	for len(d.b) > 0 {
		if len(out) == maxAMFMembers {
			return nil, limitf("more than %d AMF values", maxAMFMembers)
		}
		v, err := d.value(0)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

type amfDecoder struct {
	b       []byte
	members int // of the whole message, so that nesting multiplies nothing
}

func (d *amfDecoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.b) {
		return nil, protocolf("AMF0 value is cut short")
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v, nil
}

func (d *amfDecoder) value(depth int) (any, error) {
	if depth > maxAMFDepth {
		return nil, limitf("AMF0 nested deeper than %d", maxAMFDepth)
	}
	m, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch m[0] {
	case amfNumber:
		f, err := d.number()
		return f, err
	case amfBoolean:
		v, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return v[0] != 0, nil
	case amfString:
		return d.str()
	case amfLongString, amfXML:
		n, err := d.take(4)
		if err != nil {
			return nil, err
		}
		v, err := d.take(int(binary.BigEndian.Uint32(n)))
		return string(v), err
	case amfNull, amfUnsupported:
		return nil, nil
	case amfUndefined:
		return Undefined{}, nil
	case amfReference:
		_, err := d.take(2)
		return Undefined{}, err
	case amfObject:
		o, err := d.object(depth)
		return Object(o), err
	case amfTyped:
		if _, err := d.str(); err != nil {
			return nil, err
		}
		o, err := d.object(depth)
		return Object(o), err
	case amfECMAArray:
		// The count is only approximate in the wild: the end marker decides.
		if _, err := d.take(4); err != nil {
			return nil, err
		}
		o, err := d.object(depth)
		return ECMAArray(o), err
	case amfStrictArray:
		return d.strictArray(depth)
	case amfDate:
		f, err := d.number()
		if err != nil {
			return nil, err
		}
		_, err = d.take(2) // time zone, reserved
		return Date(f), err
	}
	return nil, protocolf("AMF0 marker 0x%02x is unknown", m[0])
}

func (d *amfDecoder) number() (float64, error) {
	v, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(v)), nil
}

func (d *amfDecoder) str() (string, error) {
	n, err := d.take(2)
	if err != nil {
		return "", err
	}
	v, err := d.take(int(binary.BigEndian.Uint16(n)))
	return string(v), err
}

// member counts one more member or element of the message.
func (d *amfDecoder) member() error {
	d.members++
	if d.members > maxAMFMembers {
		return limitf("more than %d AMF0 members", maxAMFMembers)
	}
	return nil
}

func (d *amfDecoder) object(depth int) ([]Property, error) {
	var out []Property
	for {
		name, err := d.str()
		if err != nil {
			return nil, err
		}
		if name == "" && len(d.b) > 0 && d.b[0] == amfObjectEnd {
			d.b = d.b[1:]
			return out, nil
		}
		if err := d.member(); err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, Property{name, v})
	}
}

func (d *amfDecoder) strictArray(depth int) ([]any, error) {
	n, err := d.take(4)
	if err != nil {
		return nil, err
	}
	count := binary.BigEndian.Uint32(n)
	var out []any // grows with what arrives, not with what count claims
	for range count {
		if err := d.member(); err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// AppendAMF0 appends the encoding of values to b. Values of other types than
// those listed at Object, and int, are encoded as undefined.
func AppendAMF0(b []byte, values ...any) []byte {
	for _, v := range values {
		b = appendValue(b, v)
	}
	return b
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case float64:
		return appendNumber(append(b, amfNumber), v)
	case int:
		return appendNumber(append(b, amfNumber), float64(v))
	case bool:
		n := byte(0)
		if v {
			n = 1
		}
		return append(b, amfBoolean, n)
	case string:
		if len(v) > math.MaxUint16 {
			b = binary.BigEndian.AppendUint32(append(b, amfLongString), uint32(len(v)))
			return append(b, v...)
		}
		return appendName(append(b, amfString), v)
	case nil:
		return append(b, amfNull)
	case Object:
		return appendMembers(append(b, amfObject), v)
	case ECMAArray:
		b = binary.BigEndian.AppendUint32(append(b, amfECMAArray), uint32(len(v)))
		return appendMembers(b, v)
	case []any:
		b = binary.BigEndian.AppendUint32(append(b, amfStrictArray), uint32(len(v)))
		for _, e := range v {
			b = appendValue(b, e)
		}
		return b
	case Date:
		return append(appendNumber(append(b, amfDate), float64(v)), 0, 0)
	}
	return append(b, amfUndefined)
}

func appendNumber(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

func appendName(b []byte, s string) []byte {
	if len(s) > math.MaxUint16 {
		s = s[:math.MaxUint16]
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendMembers(b []byte, members []Property) []byte {
	for _, p := range members {
		b = appendValue(appendName(b, p.Name), p.Value)
	}
	return append(b, 0, 0, amfObjectEnd)
}
